#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <malloc.h>
#include <sched.h>
#include <string.h>
#include <signal.h>
#include <sys/timex.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

int CLinux_openat2(int dirfd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve) {
    struct open_how how = {.flags = flags | O_CLOEXEC, .mode = mode, .resolve = resolve};
    return (int)syscall(SYS_openat2, dirfd, path, &how, sizeof how);
}

const int CLinux_O_PATH = O_PATH;
const int CLinux_O_NOATIME = O_NOATIME;
const int CLinux_AT_EMPTY_PATH = AT_EMPTY_PATH;
const int CLinux_SEEK_DATA = SEEK_DATA;
const int CLinux_SEEK_HOLE = SEEK_HOLE;

ssize_t CLinux_getdents(int fd, void *buffer, size_t size) { return syscall(SYS_getdents64, fd, buffer, size); }

ssize_t CLinux_llistxattr(const char *path, char *list, size_t size) { return llistxattr(path, list, size); }

ssize_t CLinux_lgetxattr(const char *path, const char *name, void *value, size_t size) {
    return lgetxattr(path, name, value, size);
}

int CLinux_setxattr(const char *path, const char *name, const void *value, size_t size) {
    return setxattr(path, name, value, size, 0);
}

int CLinux_removexattr(const char *path, const char *name) { return removexattr(path, name); }

int CLinux_renameat2(int olddir, const char *oldpath, int newdir, const char *newpath, unsigned flags) {
    return (int)syscall(SYS_renameat2, olddir, oldpath, newdir, newpath, flags);
}

int CLinux_unmap_buffers_from(int size) { return mallopt(M_MMAP_THRESHOLD, size); }

const int CLinux_CLONE_NEWNS = CLONE_NEWNS;
const int CLinux_CLONE_NEWNET = CLONE_NEWNET;
const int CLinux_CLONE_NEWUTS = CLONE_NEWUTS;

int CLinux_syncfs(int fd) { return syncfs(fd); }

int CLinux_start_writeback(int fd, int64_t offset, int64_t length) {
    return sync_file_range(fd, offset, length, SYNC_FILE_RANGE_WRITE);
}

int CLinux_set_direct(int fd, int direct) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0) return -1;
    return fcntl(fd, F_SETFL, direct ? flags | O_DIRECT : flags & ~O_DIRECT);
}

int CLinux_statx(int dirfd, const char *path, struct CLinux_stat *out) {
    struct statx s;
    int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (path[0] == 0 ? AT_EMPTY_PATH : 0);
    if (statx(dirfd, path, flags, STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID, &s) != 0) return -1;
    memset(out, 0, sizeof *out);
    out->device = makedev(s.stx_dev_major, s.stx_dev_minor);
    out->inode = s.stx_ino;
    out->rdev_major = s.stx_rdev_major;
    out->rdev_minor = s.stx_rdev_minor;
    out->size = s.stx_size;
    out->blocks = s.stx_blocks;
    out->mode = s.stx_mode;
    out->uid = s.stx_uid;
    out->gid = s.stx_gid;
    out->nlink = s.stx_nlink;
    out->mtime_sec = s.stx_mtime.tv_sec;
    out->mtime_nsec = s.stx_mtime.tv_nsec;
    out->ctime_sec = s.stx_ctime.tv_sec;
    out->ctime_nsec = s.stx_ctime.tv_nsec;
    out->btime_sec = s.stx_btime.tv_sec;
    out->btime_nsec = s.stx_btime.tv_nsec;
    out->mount_root =
        (s.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) ? (s.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0 : -1;
    out->mount_id = (s.stx_mask & STATX_MNT_ID) ? s.stx_mnt_id : 0;
    out->immutable = (s.stx_attributes & (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND)) != 0;
    return 0;
}

int CLinux_ficlone(int dst, int src) { return ioctl(dst, FICLONE, src); }

int CLinux_open_unnamed(const char *directory) { return open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600); }

int CLinux_reserve(int fd, int64_t length) { return fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, length); }

int CLinux_ofd_lock(int fd, int exclusive) {
    struct flock lock = {.l_type = exclusive ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0};
    return fcntl(fd, F_OFD_SETLK, &lock);
}

int CLinux_ofd_is_locked(int fd) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0};
    if (fcntl(fd, F_OFD_GETLK, &lock) != 0) return -1;
    return lock.l_type != F_UNLCK;
}

int CLinux_setns(int fd, int nstype) { return setns(fd, nstype); }

int CLinux_unshare(int flags) { return unshare(flags); }

int CLinux_own_proc(const char *path) {
    if (unshare(CLONE_NEWNS) != 0) return -1;
    if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) != 0) return -1;
    return mount("proc", path, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
}

void CLinux_wall_clock(int64_t *seconds, int32_t *nanoseconds) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    *seconds = now.tv_sec;
    *nanoseconds = (int32_t)now.tv_nsec;
}

int CLinux_clock_is_synchronized(void) {
    struct timex state = {.modes = 0};
    if (adjtimex(&state) < 0) return -1;
    return (state.status & STA_UNSYNC) == 0;
}

int CLinux_wait_for_signal(const sigset_t *set, int64_t nanoseconds) {
    struct timespec limit = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
    return sigtimedwait(set, NULL, &limit);
}

int CLinux_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

// --- CRC-32C ---

static uint32_t table[256];

__attribute__((constructor)) static void fill_table(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++) c = (c >> 1) ^ (0x82F63B78u & (0u - (c & 1)));
        table[i] = c;
    }
}

static uint32_t crc32c_portable(uint32_t c, const unsigned char *p, size_t n) {
    while (n--) c = table[(c ^ *p++) & 0xFF] ^ (c >> 8);
    return c;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc32c_cpu(uint32_t c, const unsigned char *p, size_t n) {
    uint64_t wide = c;
    while (n >= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        wide = __builtin_ia32_crc32di(wide, word);
        p += 8;
        n -= 8;
    }
    c = (uint32_t)wide;
    while (n--) c = __builtin_ia32_crc32qi(c, *p++);
    return c;
}
#endif

uint32_t CLinux_crc32c(uint32_t crc, const void *data, size_t length) {
    uint32_t c = ~crc;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) return ~crc32c_cpu(c, data, length);
#endif
    return ~crc32c_portable(c, data, length);
}
