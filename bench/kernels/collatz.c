/* The longest Collatz chain that begins below 200000: 64-bit integers, one unpredictable branch. */
#define WORK 3
#include "kernel.h"

#define LIMIT 200000u

void prepare(void) {}

uint64_t run(uint32_t work) {
    uint64_t checksum = 0;
    for (uint32_t round = 0; round < work; round++) {
        uint32_t longest = 0, begin_of_longest = 0;
        for (uint32_t begin = round + 1; begin < LIMIT; begin++) {
            uint32_t length = 1;
            for (uint64_t n = begin; n != 1; length++) n = n & 1 ? 3 * n + 1 : n / 2;
            if (length > longest) longest = length, begin_of_longest = begin;
        }
        checksum = mix(checksum, (uint64_t)longest << 32 | begin_of_longest);
    }
    return checksum;
}
