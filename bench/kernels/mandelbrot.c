/* The Mandelbrot set, 300 by 300 points, at most 100 steps each. */
#define WORK 15
#include "kernel.h"

#define SIZE 300
#define STEPS 100

void prepare(void) {}

static uint32_t steps_of(double real, double imaginary) {
    double x = 0, y = 0;
    for (uint32_t step = 0; step < STEPS; step++) {
        double xx = x * x, yy = y * y;
        if (xx + yy > 4) return step;
        y = 2 * x * y + imaginary;
        x = xx - yy + real;
    }
    return STEPS;
}

uint64_t run(uint32_t work) {
    uint64_t checksum = 0;
    for (uint32_t round = 0; round < work; round++) {
        uint64_t sum = 0;
        for (int row = 0; row < SIZE; row++)
            for (int column = 0; column < SIZE; column++)
                sum += steps_of(-2.0 + 3.0 * column / SIZE + round * 1e-9, -1.5 + 3.0 * row / SIZE);
        checksum = mix(checksum, sum);
    }
    return checksum;
}
