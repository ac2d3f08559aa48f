/* Ends at once: what is timed is the start and the end of a container. */
int main(void) {
    return 0;
}
