// SHA-256 of several messages side by side, one in each 32-bit element of a vector: where the CPU has wide vectors but
// no SHA instructions, this is several times faster than one message after the other.
#include "CLinux.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

enum { MOST_LANES = 16 };

static const uint32_t round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static const uint32_t initial_state[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

// Compilers make one instruction of it where the CPU has one.
#define ROTATE(x, n) ((x) >> (n) | (x) << (32 - (n)))
#define BIG_ENDIAN_WORDS 0x0c0d0e0f08090a0bll, 0x0405060700010203ll
#define PIECE(lane, at) _mm_loadu_si128((const __m128i *)(message[lane] + offset + (at)))

typedef uint32_t words8 __attribute__((vector_size(32)));
typedef uint32_t words16 __attribute__((vector_size(64)));

// 16 bytes of every fourth message, from `lane` on: transposing 4 by 4 words within 16 bytes then gives the messages'
// order back.
#define LANES 8
#define TARGET __attribute__((target("avx2")))
#define WORDS words8
#define STEP step_avx2
#define LOAD_PIECES(lane, at) _mm256_set_m128i(PIECE(lane + 4, at), PIECE(lane, at))
#define BYTE_SWAP(x) (WORDS) _mm256_shuffle_epi8(x, _mm256_set_epi64x(BIG_ENDIAN_WORDS, BIG_ENDIAN_WORDS))
#define UNPACK_LOW_32(x, y) (WORDS) _mm256_unpacklo_epi32((__m256i)x, (__m256i)y)
#define UNPACK_HIGH_32(x, y) (WORDS) _mm256_unpackhi_epi32((__m256i)x, (__m256i)y)
#define UNPACK_LOW_64(x, y) (WORDS) _mm256_unpacklo_epi64((__m256i)x, (__m256i)y)
#define UNPACK_HIGH_64(x, y) (WORDS) _mm256_unpackhi_epi64((__m256i)x, (__m256i)y)
#include "sha256_lanes_kernel.h"

#define LANES 16
#define TARGET __attribute__((target("avx512f,avx512bw")))
#define WORDS words16
#define STEP step_avx512
#define LOAD_PIECES(lane, at)                                                                                          \
    _mm512_inserti32x4(                                                                                                \
        _mm512_inserti32x4(                                                                                            \
            _mm512_inserti32x4(_mm512_castsi128_si512(PIECE(lane, at)), PIECE(lane + 4, at), 1),                       \
            PIECE(lane + 8, at),                                                                                       \
            2),                                                                                                        \
        PIECE(lane + 12, at),                                                                                          \
        3)
#define BYTE_SWAP(x)                                                                                                   \
    (WORDS) _mm512_shuffle_epi8(                                                                                       \
        x, _mm512_set_epi64(BIG_ENDIAN_WORDS, BIG_ENDIAN_WORDS, BIG_ENDIAN_WORDS, BIG_ENDIAN_WORDS))
#define UNPACK_LOW_32(x, y) (WORDS) _mm512_unpacklo_epi32((__m512i)x, (__m512i)y)
#define UNPACK_HIGH_32(x, y) (WORDS) _mm512_unpackhi_epi32((__m512i)x, (__m512i)y)
#define UNPACK_LOW_64(x, y) (WORDS) _mm512_unpacklo_epi64((__m512i)x, (__m512i)y)
#define UNPACK_HIGH_64(x, y) (WORDS) _mm512_unpackhi_epi64((__m512i)x, (__m512i)y)
#include "sha256_lanes_kernel.h"

static void put_big_endian(uint8_t *out, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) out[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
}

// What a lane works on: a stretch of whole blocks, either of the message itself or of its padded end.
struct lane {
    size_t blocks_left;
    size_t number;
    enum { IDLE, IN_MESSAGE, IN_END } place;
    uint8_t end[128];
};

void CLinux_sha256_lanes(
    int lanes, size_t count, const void *const *messages, const size_t *lengths, uint8_t *digests) {
    _Alignas(64) uint32_t state[8][MOST_LANES];
    struct lane lane[MOST_LANES];
    const uint8_t *position[MOST_LANES];
    size_t next = 0;
    memset(state, 0, sizeof state);
    for (int i = 0; i < lanes; i++) lane[i].blocks_left = 0, lane[i].place = IDLE;

    for (;;) {
        int some_busy = -1;
        size_t blocks = SIZE_MAX;
        for (int i = 0; i < lanes; i++) {
            struct lane *l = &lane[i];
            while (l->blocks_left == 0) {
                if (l->place == IN_MESSAGE) {
                    size_t length = lengths[l->number], rest = length % 64;
                    memset(l->end, 0, sizeof l->end);
                    if (rest > 0) memcpy(l->end, position[i], rest);
                    l->end[rest] = 0x80;
                    l->blocks_left = rest < 56 ? 1 : 2;
                    put_big_endian(l->end + 64 * l->blocks_left - 8, (uint64_t)length * 8, 8);
                    position[i] = l->end;
                    l->place = IN_END;
                    continue;
                }
                if (l->place == IN_END)
                    for (int word = 0; word < 8; word++)
                        put_big_endian(digests + 32 * l->number + 4 * word, state[word][i], 4);
                l->place = IDLE;
                if (next == count) break;
                l->number = next++;
                l->place = IN_MESSAGE;
                l->blocks_left = lengths[l->number] / 64;
                position[i] = messages[l->number];
                for (int word = 0; word < 8; word++) state[word][i] = initial_state[word];
            }
            if (l->place == IDLE) continue;
            some_busy = i;
            if (l->blocks_left < blocks) blocks = l->blocks_left;
        }
        if (some_busy < 0) return;
        // An idle lane computes something too: it reads along with a busy one.
        for (int i = 0; i < lanes; i++)
            if (lane[i].place == IDLE) position[i] = position[some_busy];
        if (lanes == 16)
            step_avx512(state, position, blocks);
        else
            step_avx2(state, position, blocks);
        for (int i = 0; i < lanes; i++) {
            if (lane[i].place == IDLE) continue;
            position[i] += 64 * blocks;
            lane[i].blocks_left -= blocks;
        }
    }
}

int CLinux_has_sha256_lanes(int lanes) {
    if (lanes == 16) return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
    return lanes == 8 && __builtin_cpu_supports("avx2");
}

int CLinux_has_sha_instructions(void) {
    // CPUID leaf 7, EBX bit 29, for which not every compiler's __builtin_cpu_supports has a name.
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b >> 29 & 1);
}

#else

void CLinux_sha256_lanes(
    int lanes, size_t count, const void *const *messages, const size_t *lengths, uint8_t *digests) {
    (void)lanes, (void)count, (void)messages, (void)lengths, (void)digests;
    __builtin_trap();
}

int CLinux_has_sha256_lanes(int lanes) {
    (void)lanes;
    return 0;
}

int CLinux_has_sha_instructions(void) { return 0; }

#endif
