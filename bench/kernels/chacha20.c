/* ChaCha20 (RFC 8439) over a mebibyte: 32-bit additions, rotations and exclusive ors in registers. */
#define WORK 30
#include "kernel.h"

#define LENGTH (1u << 20)
static uint32_t text[LENGTH / 4];

void prepare(void) {
    uint32_t state = 1;
    for (uint32_t i = 0; i < LENGTH / 4; i++) text[i] = next_number(&state);
}

static inline uint32_t left(uint32_t x, int n) { return x << n | x >> (32 - n); }

#define QUARTER(a, b, c, d)      \
    a += b, d = left(d ^ a, 16); \
    c += d, b = left(b ^ c, 12); \
    a += b, d = left(d ^ a, 8);  \
    c += d, b = left(b ^ c, 7)

static void block(const uint32_t key[8], uint32_t counter, uint32_t *at) {
    uint32_t x[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, key[0], key[1], key[2], key[3],
                      key[4],     key[5],     key[6],     key[7],     counter, 0,      0x4a000000, 0};
    for (int round = 0; round < 10; round++) {
        QUARTER(x[0], x[4], x[8], x[12]);
        QUARTER(x[1], x[5], x[9], x[13]);
        QUARTER(x[2], x[6], x[10], x[14]);
        QUARTER(x[3], x[7], x[11], x[15]);
        QUARTER(x[0], x[5], x[10], x[15]);
        QUARTER(x[1], x[6], x[11], x[12]);
        QUARTER(x[2], x[7], x[8], x[13]);
        QUARTER(x[3], x[4], x[9], x[14]);
    }
    at[0] ^= x[0] + 0x61707865, at[1] ^= x[1] + 0x3320646e, at[2] ^= x[2] + 0x79622d32, at[3] ^= x[3] + 0x6b206574;
    for (int i = 0; i < 8; i++) at[4 + i] ^= x[4 + i] + key[i];
    at[12] ^= x[12] + counter, at[13] ^= x[13], at[14] ^= x[14] + 0x4a000000, at[15] ^= x[15];
}

uint64_t run(uint32_t work) {
    uint32_t key[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    uint64_t checksum = 0;
    for (uint32_t round = 0; round < work; round++) {
        key[0] = round;
        for (uint32_t at = 0; at < LENGTH / 64; at++) block(key, at, text + 16 * at);
        checksum = mix(checksum, text[round % (LENGTH / 4)]);
    }
    return checksum;
}
