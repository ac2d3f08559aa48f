/* An interpreter of a small stack machine, which computes greatest common divisors: a switch for every step. */
#define WORK 6
#include "kernel.h"

#define PAIRS 60000

enum { PUSH, LOAD, STORE, ADD, MODULO, LESS, JUMP, JUMP_IF_ZERO, STOP };

/* for (i = 1; i < PAIRS; i++) { a = 1234567; b = i + seed; while (b) { t = a % b; a = b; b = t; } sum += a; }
 * Variables: 0 i, 1 a, 2 b, 3 t, 4 sum, 5 seed. */
static const int32_t program[] = {
    /*  0 */ PUSH, 1, STORE, 0,
    /*  4 */ PUSH, 1234567, STORE, 1, LOAD, 0, LOAD, 5, ADD, STORE, 2,
    /* 15 */ LOAD, 2, JUMP_IF_ZERO, 36, LOAD, 1, LOAD, 2, MODULO, STORE, 3,
    /* 26 */ LOAD, 2, STORE, 1, LOAD, 3, STORE, 2, JUMP, 15,
    /* 36 */ LOAD, 4, LOAD, 1, ADD, STORE, 4,
    /* 43 */ LOAD, 0, PUSH, 1, ADD, STORE, 0,
    /* 50 */ LOAD, 0, PUSH, PAIRS, LESS, JUMP_IF_ZERO, 59, JUMP, 4,
    /* 59 */ STOP,
};

void prepare(void) {}

static uint32_t interpret(uint32_t seed) {
    uint32_t stack[8], variables[6] = {0, 0, 0, 0, 0, seed};
    uint32_t top = 0;
    for (const int32_t *at = program;;) {
        switch (*at++) {
        case PUSH: stack[top++] = (uint32_t)*at++; break;
        case LOAD: stack[top++] = variables[*at++]; break;
        case STORE: variables[*at++] = stack[--top]; break;
        case ADD: top--, stack[top - 1] += stack[top]; break;
        case MODULO: top--, stack[top - 1] %= stack[top]; break;
        case LESS: top--, stack[top - 1] = stack[top - 1] < stack[top]; break;
        case JUMP: at = program + *at; break;
        case JUMP_IF_ZERO: at = stack[--top] ? at + 1 : program + *at; break;
        default: return variables[4];
        }
    }
}

uint64_t run(uint32_t work) {
    uint64_t checksum = 0;
    for (uint32_t round = 0; round < work; round++) checksum = mix(checksum, interpret(round));
    return checksum;
}
