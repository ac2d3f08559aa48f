/* Product of two matrices of doubles, 200 by 200. */
#define WORK 30
#include "kernel.h"

#define SIZE 200
static double left[SIZE][SIZE], right[SIZE][SIZE], product[SIZE][SIZE];

void prepare(void) {
    uint32_t state = 1;
    for (int i = 0; i < SIZE; i++)
        for (int j = 0; j < SIZE; j++) {
            left[i][j] = (double)(next_number(&state) % 1000) / 7;
            right[i][j] = (double)(next_number(&state) % 1000) / 11;
        }
}

uint64_t run(uint32_t work) {
    uint64_t checksum = 0;
    for (uint32_t round = 0; round < work; round++) {
        left[0][0] = round;
        for (int i = 0; i < SIZE; i++) {
            for (int j = 0; j < SIZE; j++) product[i][j] = left[i][0] * right[0][j];
            for (int k = 1; k < SIZE; k++)
                for (int j = 0; j < SIZE; j++) product[i][j] += left[i][k] * right[k][j];
        }
        double sum = 0;
        for (int i = 0; i < SIZE; i++)
            for (int j = 0; j < SIZE; j++) sum += product[i][j];
        checksum = mix(checksum, bits_of(sum));
    }
    return checksum;
}
