/* CRC-32 of a mebibyte by a table of bytes: one long chain of loads. */
#define WORK 30
#include "kernel.h"

#define LENGTH (1u << 20)
static uint8_t message[LENGTH];
static uint32_t table[256];

void prepare(void) {
    uint32_t state = 1;
    for (uint32_t i = 0; i < LENGTH; i++) message[i] = (uint8_t)next_number(&state);
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t remainder = i;
        for (int bit = 0; bit < 8; bit++) remainder = remainder >> 1 ^ (remainder & 1 ? 0xedb88320 : 0);
        table[i] = remainder;
    }
}

uint64_t run(uint32_t work) {
    uint32_t crc = 0xffffffff;
    for (uint32_t round = 0; round < work; round++)
        for (uint32_t i = 0; i < LENGTH; i++) crc = crc >> 8 ^ table[(crc ^ message[i]) & 255];
    return mix(0, crc);
}
