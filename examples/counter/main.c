/* Counts its own starts in /data/count: put a volume there and it goes on where it was. */
#include <stdio.h>

int main(void) {
    const char *path = "/data/count";
    long count = 0;
    FILE *file = fopen(path, "r");
    if (file) {
        if (fscanf(file, "%ld", &count) != 1)
            count = 0;
        fclose(file);
    }
    file = fopen(path, "w");
    if (!file || fprintf(file, "%ld\n", count + 1) < 0 || fclose(file) != 0) {
        perror(path);
        return 1;
    }
    printf("start number %ld\n", count + 1);
    return 0;
}
