/* Spectral norm of an infinite matrix by the power method: a division for each element. */
#define WORK 4
#include "kernel.h"

#define SIZE 500
static double u[SIZE], v[SIZE], between[SIZE];

void prepare(void) {}

static double element(uint32_t i, uint32_t j) { return 1.0 / ((i + j) * (i + j + 1) / 2 + i + 1); }

static void times(const double *from, double *to) {
    for (uint32_t i = 0; i < SIZE; i++) {
        double sum = 0;
        for (uint32_t j = 0; j < SIZE; j++) sum += element(i, j) * from[j];
        to[i] = sum;
    }
}

static void transposed_times(const double *from, double *to) {
    for (uint32_t i = 0; i < SIZE; i++) {
        double sum = 0;
        for (uint32_t j = 0; j < SIZE; j++) sum += element(j, i) * from[j];
        to[i] = sum;
    }
}

uint64_t run(uint32_t work) {
    uint64_t checksum = 0;
    for (uint32_t round = 0; round < work; round++) {
        for (int i = 0; i < SIZE; i++) u[i] = 1.0 + round;
        for (int i = 0; i < 10; i++) {
            times(u, between);
            transposed_times(between, v);
            times(v, between);
            transposed_times(between, u);
        }
        double product = 0, square = 0;
        for (int i = 0; i < SIZE; i++) {
            product += u[i] * v[i];
            square += v[i] * v[i];
        }
        checksum = mix(checksum, bits_of(__builtin_sqrt(product / square)));
    }
    return checksum;
}
