/* Primes below two million by the sieve of Eratosthenes: byte stores with a stride. */
#define WORK 20
#include "kernel.h"

#define LIMIT 2000000u
static uint8_t composite[LIMIT];

void prepare(void) {}

uint64_t run(uint32_t work) {
    uint64_t checksum = 0;
    for (uint32_t round = 0; round < work; round++) {
        for (uint32_t i = 0; i < LIMIT; i++) composite[i] = !(i & 1);
        uint32_t primes = 1;
        for (uint32_t i = 3; i < LIMIT; i += 2) {
            if (composite[i]) continue;
            primes++;
            for (uint64_t j = (uint64_t)i * i; j < LIMIT; j += 2 * i) composite[j] = 1;
        }
        checksum = mix(checksum, primes + round);
    }
    return checksum;
}
