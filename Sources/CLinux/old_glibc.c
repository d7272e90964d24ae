// Definitions that keep the newest glibc symbol we need at 2.34, so that the program also starts on RHEL 9 hosts.
// hypotf: Swift's static runtime refers to it, and glibc gave it a new version in 2.35.
#include <math.h>

float hypotf(float x, float y) { return (float)__builtin_sqrt((double)x * (double)x + (double)y * (double)y); }

// arc4random_buf: the static libarchive refers to it, and glibc has it only since 2.36.
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/random.h>

void arc4random_buf(void *buffer, size_t length) {
    unsigned char *p = buffer;
    while (length > 0) {
        ssize_t n = getrandom(p, length > 256 ? 256 : length, 0);
        if (n < 0) {
            if (errno == EINTR) continue;
            abort();
        }
        p += n;
        length -= (size_t)n;
    }
}
