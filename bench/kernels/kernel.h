/* What every kernel is made of (see ../README.md, "Kernels").
 *
 * A kernel defines WORK, `prepare` and `run`. `prepare` fills its data; `run(work)` computes `work` times the same
 * and returns a checksum of all it computed. Neither calls the C library: with -DALONE the file is linked
 * without one, which fails where a call was left in or put in by the compiler (memset for a loop that clears).
 *
 * The program runs once untimed, so that all memory has been touched, then `work` times (first argument, WORK by
 * default), and prints the checksum and the nanoseconds of the timed part.
 */
#include <stdint.h>

#define NOINLINE __attribute__((noinline))

#ifdef ALONE
#define ENTRY NOINLINE __attribute__((used))
#else
#define ENTRY static NOINLINE
#endif

ENTRY void prepare(void);
ENTRY uint64_t run(uint32_t work);

/* The next of a row of numbers that is the same everywhere (xorshift32; the state is never 0). */
static inline uint32_t next_number(uint32_t *state) {
    uint32_t x = *state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *state = x;
}

/* A checksum with one more number in it. */
static inline uint64_t mix(uint64_t checksum, uint64_t number) {
    checksum = (checksum ^ number) * 0x9e3779b97f4a7c15u;
    return checksum ^ (checksum >> 29);
}

/* A double's bits: equal only for exactly the same result. */
static inline uint64_t bits_of(double number) {
    union {
        double number;
        uint64_t bits;
    } both = {number};
    return both.bits;
}

#ifdef ALONE
void _start(void) {
    prepare();
    volatile uint64_t result = run(1);
    (void)result;
}
#else
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t now_nanoseconds(void) {
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        perror("clock_gettime");
        exit(1);
    }
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int main(int argc, char **argv) {
    uint32_t work = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : WORK;
    prepare();
    run(1);
    uint64_t begin = now_nanoseconds();
    uint64_t checksum = run(work);
    uint64_t end = now_nanoseconds();
    printf("%016" PRIx64 " %" PRIu64 "\n", checksum, end - begin);
    return 0;
}
#endif
