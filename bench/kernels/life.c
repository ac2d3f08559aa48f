/* Conway's game of life, 256 by 256 cells on a torus. */
#define WORK 300
#include "kernel.h"

#define SIZE 256
static uint8_t boards[2][SIZE][SIZE];
static int current;

void prepare(void) {
    uint32_t state = 1;
    for (int i = 0; i < SIZE; i++)
        for (int j = 0; j < SIZE; j++) boards[0][i][j] = next_number(&state) % 3 == 0;
}

static void generation(uint8_t (*from)[SIZE], uint8_t (*to)[SIZE]) {
    for (int i = 0; i < SIZE; i++) {
        const uint8_t *above = from[(i + SIZE - 1) % SIZE], *row = from[i], *below = from[(i + 1) % SIZE];
        for (int j = 0; j < SIZE; j++) {
            int left = (j + SIZE - 1) % SIZE, right = (j + 1) % SIZE;
            int around = above[left] + above[j] + above[right] + row[left] + row[right] + below[left] + below[j] +
                         below[right];
            to[i][j] = around == 3 || (around == 2 && row[j]);
        }
    }
}

uint64_t run(uint32_t work) {
    for (uint32_t round = 0; round < work; round++) {
        generation(boards[current], boards[!current]);
        current = !current;
    }
    uint64_t checksum = 0;
    for (int i = 0; i < SIZE; i++)
        for (int j = 0; j < SIZE; j++) checksum = mix(checksum, boards[current][i][j]);
    return checksum;
}
