/* A simulated engine: an HTTP/1.1 server that is never the bottleneck.
 *
 *   engine PATH-OF-A-UNIX-SOCKET | engine PORT
 *
 * A request header, which every proxy passes on, selects the response:
 *
 *   x-bench: small            one JSON response of 200 bytes
 *   x-bench: stream N         N server-sent events at full speed
 *   x-bench: paced N HZ       N events at HZ per second, each with its send time (CLOCK_MONOTONIC, in ns)
 *
 * It responds to everything else, GET /health included, with 200 "ok". It counts and drops request bodies.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { HEAD = 65536, OUT = 16384, CONNECTIONS = 65536 };

struct connection {
    int fd;
    char head[HEAD];
    size_t head_size;
    long body_left;   /* bytes of a request body still to come; -1: none is being read */
    long events_left; /* of the stream being answered */
    int64_t interval; /* nanoseconds between paced events; 0: full speed */
    int64_t due;
    char out[OUT];
    size_t out_at, out_size;
};

static struct connection *by_fd[CONNECTIONS];
static int poller, timer, highest;

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void drop(struct connection *c) {
    by_fd[c->fd] = NULL;
    close(c->fd);
    free(c);
}

/* Write what is buffered; 1: all of it, 0: the peer must read first, -1: it has left. */
static int flush(struct connection *c) {
    while (c->out_at < c->out_size) {
        ssize_t n = send(c->fd, c->out + c->out_at, c->out_size - c->out_at, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN ? 0 : -1;
        c->out_at += n;
    }
    c->out_at = c->out_size = 0;
    return 1;
}

static void event(struct connection *c, int64_t at) {
    char text[160];
    int n = snprintf(text, sizeof text,
                     "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,"
                     "\"delta\":{\"content\":\" word\"}}],\"t\":%020lld}\n\n",
                     (long long)at);
    c->out_size += sprintf(c->out + c->out_size, "%x\r\n", n);
    memcpy(c->out + c->out_size, text, n);
    c->out_size += n;
    c->out_size += sprintf(c->out + c->out_size, "\r\n");
    if (--c->events_left == 0)
        c->out_size += sprintf(c->out + c->out_size, "0\r\n\r\n");
}

static int stream(struct connection *c) {
    for (;;) {
        int done = flush(c);
        if (done != 1 || c->events_left <= 0 || c->interval)
            return done;
        while (c->events_left > 0 && c->out_size < OUT - 512)
            event(c, 0);
    }
}

static void wait_for(struct connection *c, uint32_t events) {
    struct epoll_event e = {.events = events, .data.fd = c->fd};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
}

static void wake_at(int64_t when) {
    struct itimerspec t = {.it_value = {when / 1000000000, when % 1000000000}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &t, NULL);
}

/* Send every paced event that is due, and set the timer for the next one. */
static void pace(void) {
    int64_t next = INT64_MAX, at = now();
    for (int fd = 0; fd <= highest; fd++) {
        struct connection *c = by_fd[fd];
        if (!c || !c->interval || c->events_left <= 0)
            continue;
        if (c->due <= at) {
            if (c->out_size < OUT - 512)
                event(c, now());
            c->due += c->interval;
            if (flush(c) < 0) {
                drop(c);
                continue;
            }
        }
        if (c->events_left > 0 && c->due < next)
            next = c->due;
    }
    if (next != INT64_MAX)
        wake_at(next);
}

static void answer(struct connection *c) {
    static const char sse[] = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
                              "transfer-encoding: chunked\r\n\r\n";
    char *asked = strcasestr(c->head, "\r\nx-bench: ");
    long count = 0, hz = 0;
    asked = asked ? asked + 11 : "";
    c->interval = 0;
    if (sscanf(asked, "stream %ld", &count) == 1 || sscanf(asked, "paced %ld %ld", &count, &hz) == 2) {
        c->out_size = sprintf(c->out, "%s", sse);
        c->events_left = count;
        if (hz) {
            c->interval = 1000000000 / hz;
            c->due = now() + c->interval * (rand() % 1000) / 1000; /* streams don't march in step */
        }
    } else if (!strncmp(asked, "small", 5)) {
        char text[256];
        int size = sprintf(text, "{\"id\":\"c\",\"object\":\"chat.completion\",\"padding\":\"%0150d\"}", 0);
        c->out_size = sprintf(c->out,
                              "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
                              "content-length: %d\r\n\r\n%s",
                              size, text);
    } else {
        c->out_size = sprintf(c->out, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    }
}

/* Read what there is; -1: the peer has left or sent nonsense. */
static int serve(struct connection *c) {
    static char sink[1 << 20];
    for (;;) {
        if (c->body_left > 0) {
            ssize_t n = read(c->fd, sink, c->body_left < (long)sizeof sink ? c->body_left : (long)sizeof sink);
            if (n <= 0)
                return n < 0 && errno == EAGAIN ? 0 : -1;
            c->body_left -= n;
        } else {
            ssize_t n = read(c->fd, c->head + c->head_size, HEAD - 1 - c->head_size);
            if (n <= 0)
                return n < 0 && errno == EAGAIN ? 0 : -1;
            c->head_size += n;
            c->head[c->head_size] = 0;
            char *end = strstr(c->head, "\r\n\r\n");
            if (!end && c->head_size == HEAD - 1)
                return -1;
            if (!end)
                continue;
            char *length = strcasestr(c->head, "\r\ncontent-length: ");
            long size = length && length < end ? atol(length + 18) : 0;
            c->body_left = size - (long)(c->head_size - (end + 4 - c->head));
            if (c->body_left < 0)
                return -1; /* nobody here pipelines */
        }
        if (c->body_left == 0) {
            answer(c);
            c->head_size = 0;
            c->body_left = -1;
            int done = stream(c);
            if (done < 0)
                return -1;
            if (c->interval)
                pace();
            if (done == 0) {
                wait_for(c, EPOLLIN | EPOLLOUT);
                return 0;
            }
        }
    }
}

static int listen_at(const char *where) {
    int fd, one = 1;
    if (strspn(where, "0123456789") == strlen(where)) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(atoi(where))};
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (bind(fd, (struct sockaddr *)&a, sizeof a))
            return -1;
    } else {
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        strncpy(a.sun_path, where, sizeof a.sun_path - 1);
        unlink(where);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (bind(fd, (struct sockaddr *)&a, sizeof a))
            return -1;
    }
    return listen(fd, 4096) ? -1 : fd;
}

static void watch(int fd, uint32_t events) {
    struct epoll_event e = {.events = events, .data.fd = fd};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
}

static void accept_all(int listener) {
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct connection *c = calloc(1, sizeof *c);
        c->fd = fd;
        c->body_left = -1;
        by_fd[fd] = c;
        highest = fd > highest ? fd : highest;
        watch(fd, EPOLLIN);
    }
}

static void handle(int fd, uint32_t events) {
    struct connection *c = by_fd[fd];
    if (!c)
        return;
    if (events & EPOLLOUT) {
        int done = stream(c);
        if (done < 0) {
            drop(c);
            return;
        }
        if (done == 1)
            wait_for(c, EPOLLIN);
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && serve(c) < 0)
        drop(c);
}

int main(int count, char **arguments) {
    struct epoll_event events[256];
    int listener = count == 2 ? listen_at(arguments[1]) : -1;
    if (listener < 0) {
        fprintf(stderr, "engine: cannot listen\n");
        return 1;
    }
    signal(SIGPIPE, SIG_IGN);
    poller = epoll_create1(0);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    watch(listener, EPOLLIN);
    watch(timer, EPOLLIN);
    for (;;) {
        int n = epoll_wait(poller, events, 256, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            uint64_t ticks;
            if (fd == listener)
                accept_all(listener);
            else if (fd == timer) {
                if (read(timer, &ticks, sizeof ticks) > 0)
                    pace();
            } else
                handle(fd, events[i].events);
        }
    }
}
