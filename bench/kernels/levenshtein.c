/* Edit distance of two texts of 2000 letters by dynamic programming. */
#define WORK 12
#include "kernel.h"

#define LENGTH 2000
static uint8_t first[LENGTH], second[LENGTH];
static uint32_t rows[2][LENGTH + 1];

void prepare(void) {
    uint32_t state = 1;
    for (int i = 0; i < LENGTH; i++) {
        first[i] = (uint8_t)('a' + next_number(&state) % 8);
        second[i] = (uint8_t)('a' + next_number(&state) % 8);
    }
}

static inline uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

static uint32_t distance(void) {
    uint32_t *above = rows[0], *row = rows[1];
    for (uint32_t j = 0; j <= LENGTH; j++) above[j] = j;
    for (uint32_t i = 0; i < LENGTH; i++) {
        row[0] = i + 1;
        for (uint32_t j = 0; j < LENGTH; j++) {
            uint32_t changed = above[j] + (first[i] != second[j]);
            row[j + 1] = least(changed, least(above[j + 1], row[j]) + 1);
        }
        uint32_t *other = above;
        above = row;
        row = other;
    }
    return above[LENGTH];
}

uint64_t run(uint32_t work) {
    uint64_t checksum = 0;
    for (uint32_t round = 0; round < work; round++) {
        first[round % LENGTH] = 'z';
        checksum = mix(checksum, distance());
    }
    return checksum;
}
