/* Half a million integers sorted by quicksort, with insertion sort for short rows: branches that can't be guessed. */
#define WORK 3
#include "kernel.h"

#define COUNT 500000
#define SHORT 16
static int32_t numbers[COUNT];

void prepare(void) {}

static void insertion_sort(int32_t *row, int32_t length) {
    for (int32_t i = 1; i < length; i++) {
        int32_t value = row[i], at = i;
        for (; at > 0 && row[at - 1] > value; at--) row[at] = row[at - 1];
        row[at] = value;
    }
}

static void sort(int32_t *row, int32_t length) {
    while (length > SHORT) {
        int32_t pivot = row[length / 2], low = 0, high = length - 1;
        while (low <= high) {
            while (row[low] < pivot) low++;
            while (row[high] > pivot) high--;
            if (low <= high) {
                int32_t other = row[low];
                row[low++] = row[high];
                row[high--] = other;
            }
        }
        sort(row, high + 1);
        row += low;
        length -= low;
    }
    insertion_sort(row, length);
}

uint64_t run(uint32_t work) {
    uint64_t checksum = 0;
    for (uint32_t round = 0; round < work; round++) {
        uint32_t state = round + 1;
        for (int32_t i = 0; i < COUNT; i++) numbers[i] = (int32_t)next_number(&state);
        sort(numbers, COUNT);
        for (int32_t i = 0; i < COUNT; i += 997) checksum = mix(checksum, (uint32_t)numbers[i]);
    }
    return checksum;
}
