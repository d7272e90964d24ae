// The compression function of SHA-256 (FIPS 180-4, 6.2.2) for LANES messages at once, included once for each kind of
// vector. The includer defines LANES, TARGET, WORDS (a vector of LANES uint32_t) and what is called below:
// LOAD_PIECES, BYTE_SWAP, UNPACK_LOW_32, UNPACK_HIGH_32, UNPACK_LOW_64, UNPACK_HIGH_64, STEP (the name).

// One round; the caller renames the working variables instead of moving them.
#define ROUND(a, b, c, d, e, f, g, h, t)                                                                               \
    h += (ROTATE(e, 6) ^ ROTATE(e, 11) ^ ROTATE(e, 25)) + ((e & f) ^ (~e & g)) + (w[t] + k[t]);                        \
    d += h;                                                                                                            \
    h += (ROTATE(a, 2) ^ ROTATE(a, 13) ^ ROTATE(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))

// The word of the message schedule that takes the place of word t, 16 rounds later.
#define NEXT_WORD(t)                                                                                                   \
    w[t] += (ROTATE(w[(t + 1) % 16], 7) ^ ROTATE(w[(t + 1) % 16], 18) ^ w[(t + 1) % 16] >> 3) + w[(t + 9) % 16] +      \
            (ROTATE(w[(t + 14) % 16], 17) ^ ROTATE(w[(t + 14) % 16], 19) ^ w[(t + 14) % 16] >> 10)

#define EIGHT_ROUNDS(t)                                                                                                \
    ROUND(a, b, c, d, e, f, g, h, t);                                                                                  \
    ROUND(h, a, b, c, d, e, f, g, t + 1);                                                                              \
    ROUND(g, h, a, b, c, d, e, f, t + 2);                                                                              \
    ROUND(f, g, h, a, b, c, d, e, t + 3);                                                                              \
    ROUND(e, f, g, h, a, b, c, d, t + 4);                                                                              \
    ROUND(d, e, f, g, h, a, b, c, t + 5);                                                                              \
    ROUND(c, d, e, f, g, h, a, b, t + 6);                                                                              \
    ROUND(b, c, d, e, f, g, h, a, t + 7)

// Four words of each message, from byte 16 * i of its block on: word 4 * i + n of all messages goes to w[4 * i + n].
#define LOAD_FOUR_WORDS(i)                                                                                             \
    do {                                                                                                               \
        WORDS m0 = BYTE_SWAP(LOAD_PIECES(0, 16 * i)), m1 = BYTE_SWAP(LOAD_PIECES(1, 16 * i));                          \
        WORDS m2 = BYTE_SWAP(LOAD_PIECES(2, 16 * i)), m3 = BYTE_SWAP(LOAD_PIECES(3, 16 * i));                          \
        WORDS low01 = UNPACK_LOW_32(m0, m1), high01 = UNPACK_HIGH_32(m0, m1);                                          \
        WORDS low23 = UNPACK_LOW_32(m2, m3), high23 = UNPACK_HIGH_32(m2, m3);                                          \
        w[4 * i] = UNPACK_LOW_64(low01, low23);                                                                        \
        w[4 * i + 1] = UNPACK_HIGH_64(low01, low23);                                                                   \
        w[4 * i + 2] = UNPACK_LOW_64(high01, high23);                                                                  \
        w[4 * i + 3] = UNPACK_HIGH_64(high01, high23);                                                                 \
    } while (0)

// Takes `blocks` blocks of each message; state[i] holds word i of all messages' states.
TARGET static void STEP(uint32_t (*state)[MOST_LANES], const uint8_t *const *message, size_t blocks) {
    WORDS s[8], w[16];
    for (int i = 0; i < 8; i++) memcpy(&s[i], state[i], sizeof s[i]);
    for (size_t offset = 0; offset < 64 * blocks; offset += 64) {
        LOAD_FOUR_WORDS(0);
        LOAD_FOUR_WORDS(1);
        LOAD_FOUR_WORDS(2);
        LOAD_FOUR_WORDS(3);
        WORDS a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5], g = s[6], h = s[7];
        const uint32_t *k = round_constants;
        EIGHT_ROUNDS(0);
        EIGHT_ROUNDS(8);
        for (int i = 0; i < 3; i++) {
            k += 16;
            NEXT_WORD(0), NEXT_WORD(1), NEXT_WORD(2), NEXT_WORD(3), NEXT_WORD(4), NEXT_WORD(5), NEXT_WORD(6),
                NEXT_WORD(7);
            EIGHT_ROUNDS(0);
            NEXT_WORD(8), NEXT_WORD(9), NEXT_WORD(10), NEXT_WORD(11), NEXT_WORD(12), NEXT_WORD(13), NEXT_WORD(14),
                NEXT_WORD(15);
            EIGHT_ROUNDS(8);
        }
        s[0] += a, s[1] += b, s[2] += c, s[3] += d, s[4] += e, s[5] += f, s[6] += g, s[7] += h;
    }
    for (int i = 0; i < 8; i++) memcpy(state[i], &s[i], sizeof s[i]);
}

#undef ROUND
#undef NEXT_WORD
#undef EIGHT_ROUNDS
#undef LOAD_FOUR_WORDS
#undef LANES
#undef TARGET
#undef WORDS
#undef LOAD_PIECES
#undef BYTE_SWAP
#undef UNPACK_LOW_32
#undef UNPACK_HIGH_32
#undef UNPACK_LOW_64
#undef UNPACK_HIGH_64
#undef STEP
