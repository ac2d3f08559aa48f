/* An HTTP server in one process that keeps its connections: what is asked for by /NUMBER is that many bytes.
 * As wasm it accepts on the descriptor 3, a listening socket that it is given; natively it listens on port 80, or on
 * the one that is its argument. Any request of another form is answered with 0 bytes. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS = 64, MOST = 1 << 20, REQUEST = 2048 };

static char answer[MOST + 256];
static struct { char request[REQUEST]; size_t length; } state[CONNECTIONS + 1];
static struct pollfd polled[CONNECTIONS + 1];
static nfds_t count = 1;

static int listening(int argc, char **argv) {
#ifdef __wasm__
    (void)argc, (void)argv;
    return 3;
#else
    int on = 1, made = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons((unsigned short)(argc > 1 ? atoi(argv[1]) : 80))};
    setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(made, (struct sockaddr *)&own, sizeof own) != 0 || listen(made, 128) != 0) {
        perror("server");
        exit(1);
    }
    return made;
#endif
}

/* Whether all of it went out. */
static int send_answer(int connection, long bytes) {
    if (bytes < 0 || bytes > MOST) bytes = 0;
    int head = snprintf(answer, 256, "HTTP/1.1 200 OK\r\nContent-Length: %ld\r\n\r\n", bytes);
    size_t length = (size_t)head + (size_t)bytes, sent = 0;
    while (sent < length) {
        ssize_t more = send(connection, answer + sent, length - sent, 0);
        if (more < 0 && errno == EAGAIN) {
            struct pollfd ready = {.fd = connection, .events = POLLOUT};
            poll(&ready, 1, -1);
            continue;
        }
        if (more <= 0) return 0;
        sent += (size_t)more;
    }
    return 1;
}

/* Whether the connection stays. */
static int serve(nfds_t index) {
    char *request = state[index].request;
    size_t *length = &state[index].length;
    ssize_t more = recv(polled[index].fd, request + *length, REQUEST - 1 - *length, 0);
    if (more <= 0) return more < 0 && errno == EAGAIN;
    *length += (size_t)more;
    request[*length] = 0;
    if (strstr(request, "\r\n\r\n") == NULL) return *length < REQUEST - 1;
    *length = 0;
    return send_answer(polled[index].fd, strncmp(request, "GET /", 5) == 0 ? atol(request + 5) : 0);
}

int main(int argc, char **argv) {
    polled[0] = (struct pollfd){.fd = listening(argc, argv), .events = POLLIN};
    puts("ready");
    fflush(stdout);
    for (;;) {
        if (poll(polled, count, -1) < 0) return 1;
        for (nfds_t index = count - 1; index > 0; index--) {
            if (polled[index].revents != 0 && !serve(index)) {
                close(polled[index].fd);
                count--;
                polled[index] = polled[count];
                state[index] = state[count];
            }
        }
        if (polled[0].revents != 0 && count <= CONNECTIONS) {
            int accepted = accept(polled[0].fd, NULL, NULL);
            if (accepted >= 0) {
                polled[count] = (struct pollfd){.fd = accepted, .events = POLLIN};
                state[count++].length = 0;
            }
        }
    }
}
