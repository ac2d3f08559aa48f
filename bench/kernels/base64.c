/* Base64 there and back again, 768 kB: table look-ups for single bytes. */
#define WORK 60
#include "kernel.h"

#define LENGTH (768u * 1024)
static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static uint8_t plain[LENGTH], encoded[LENGTH / 3 * 4], values[256];

void prepare(void) {
    uint32_t state = 1;
    for (uint32_t i = 0; i < LENGTH; i++) plain[i] = (uint8_t)next_number(&state);
    for (uint8_t i = 0; i < 64; i++) values[(uint8_t)letters[i]] = i;
}

static void encode(void) {
    uint8_t *to = encoded;
    for (uint32_t i = 0; i < LENGTH; i += 3, to += 4) {
        uint32_t bits = (uint32_t)plain[i] << 16 | (uint32_t)plain[i + 1] << 8 | plain[i + 2];
        to[0] = (uint8_t)letters[bits >> 18];
        to[1] = (uint8_t)letters[bits >> 12 & 63];
        to[2] = (uint8_t)letters[bits >> 6 & 63];
        to[3] = (uint8_t)letters[bits & 63];
    }
}

static void decode(void) {
    uint8_t *to = plain;
    for (uint32_t i = 0; i < sizeof encoded; i += 4, to += 3) {
        uint32_t bits = (uint32_t)values[encoded[i]] << 18 | (uint32_t)values[encoded[i + 1]] << 12 |
                        (uint32_t)values[encoded[i + 2]] << 6 | values[encoded[i + 3]];
        to[0] = (uint8_t)(bits >> 16);
        to[1] = (uint8_t)(bits >> 8);
        to[2] = (uint8_t)bits;
    }
}

uint64_t run(uint32_t work) {
    uint64_t checksum = 0;
    for (uint32_t round = 0; round < work; round++) {
        plain[round % LENGTH] ^= (uint8_t)(round + 1);
        encode();
        decode();
        for (uint32_t i = 0; i < LENGTH; i += 4099) checksum = mix(checksum, (uint64_t)plain[i] << 8 | encoded[i]);
    }
    return checksum;
}
