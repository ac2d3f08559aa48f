/* Ways to put 10 queens on a board, with one field of the first row forbidden: recursion over bit sets. */
#define WORK 2000
#include "kernel.h"

#define SIZE 10
#define ALL ((1u << SIZE) - 1)

void prepare(void) {}

static NOINLINE uint32_t ways(uint32_t columns, uint32_t falling, uint32_t rising) {
    if (columns == ALL) return 1;
    uint32_t found = 0;
    for (uint32_t free = ALL & ~(columns | falling | rising); free; free &= free - 1) {
        uint32_t place = free & -free;
        found += ways(columns | place, (falling | place) << 1, (rising | place) >> 1);
    }
    return found;
}

uint64_t run(uint32_t work) {
    uint64_t checksum = 0;
    for (uint32_t round = 0; round < work; round++) checksum = mix(checksum, ways(0, 1u << round % SIZE, 0));
    return checksum;
}
