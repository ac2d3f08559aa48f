/* Says hello, then idles until it is stopped. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int main(void) {
    const char *name = getenv("NAME");
    printf("hello, %s\n", name ? name : "world");
    fflush(stdout);
    for (;;) {
        struct timespec hour = {3600, 0};
        nanosleep(&hour, NULL);
    }
}
