/* The load generator: C connections that each send a request, read its response, and send the next one.
 *
 *   load PORT CONNECTIONS SECONDS REQUESTS BODY-BYTES HEADERS X-BENCH
 *
 * Ends after SECONDS or after REQUESTS in total, whichever comes first (0: no limit). HEADERS are extra header
 * lines separated by "|". Prints one line of JSON: requests, failures, seconds, events (server-sent), and
 * percentiles in microseconds: of whole requests, to the first byte of a body, and of a paced event's one-way time.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { IN = 1 << 18, KEPT = 64, SAMPLES = 1 << 22 };

struct connection {
    int fd;
    size_t sent;
    int64_t began;
    int first;         /* the first byte of the body has been seen */
    int in_body;       /* the head is over */
    long left;         /* bytes of the body or of the chunk that are still to come; -1: a chunk's size line is next */
    int chunked, last; /* last: the chunk of size 0 has begun */
    char line[512];    /* a head's or a chunk's line, as far as it has come */
    size_t line_size;
    char kept[KEPT]; /* the end of the last piece: a time stamp may be cut in two */
    size_t kept_size;
    int status;
};

struct samples {
    float *values;
    long count;
};

static struct samples whole, first, way;
static char *request;
static size_t request_size;
static long done, failed, events_seen;
static int poller, port;

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void sample(struct samples *s, int64_t nanoseconds) {
    if (s->count < SAMPLES)
        s->values[s->count++] = nanoseconds / 1000.0f;
}

static void look_for_events(struct connection *c, const char *data, size_t size, int64_t at) {
    char text[KEPT + 4096 + 1];
    while (size) {
        size_t part = size < 4096 ? size : 4096;
        memcpy(text, c->kept, c->kept_size);
        memcpy(text + c->kept_size, data, part);
        size_t all = c->kept_size + part;
        char *from = text, *mark;
        while ((mark = memmem(from, text + all - from, "\"t\":", 4)) && mark + 24 <= text + all) {
            char stamp[21] = {0};
            memcpy(stamp, mark + 4, 20);
            int64_t sent = atoll(stamp);
            events_seen++;
            if (sent)
                sample(&way, at - sent);
            from = mark + 24;
        }
        size_t rest = text + all - from;
        c->kept_size = rest < 27 ? rest : 27;
        memcpy(c->kept, text + all - c->kept_size, c->kept_size);
        data += part;
        size -= part;
    }
}

static void begin(struct connection *c) {
    c->sent = 0;
    c->first = c->in_body = c->chunked = c->last = 0;
    c->left = 0;
    c->line_size = c->kept_size = 0;
    c->status = 0;
    c->began = now();
}

static int push(struct connection *c) {
    while (c->sent < request_size) {
        ssize_t n = send(c->fd, request + c->sent, request_size - c->sent, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN ? 0 : -1;
        c->sent += n;
    }
    return 1;
}

static void head_line(struct connection *c) {
    if (!c->status)
        c->status = atoi(c->line + 9);
    else if (!strncasecmp(c->line, "content-length:", 15))
        c->left = atol(c->line + 15);
    else if (!strncasecmp(c->line, "transfer-encoding: chunked", 26))
        c->chunked = 1;
}

/* Take one byte of a head's or a chunk's line; 1: the answer is over. */
static int line_byte(struct connection *c, char byte) {
    if (byte != '\n') {
        if (c->line_size < sizeof c->line - 1)
            c->line[c->line_size++] = byte;
        return 0;
    }
    while (c->line_size && c->line[c->line_size - 1] == '\r')
        c->line_size--;
    c->line[c->line_size] = 0;
    int empty = c->line_size == 0;
    c->line_size = 0;
    if (!c->in_body) {
        if (!empty)
            head_line(c);
        else if (c->status >= 200) {
            c->in_body = 1;
            if (c->chunked)
                c->left = -1;
            else if (c->left == 0)
                return 1;
        } else
            c->status = 0;
    } else if (c->last)
        return empty;
    else if (!empty) {
        c->left = strtol(c->line, NULL, 16);
        c->last = c->left == 0;
        if (c->last)
            c->left = -1;
    }
    return 0;
}

/* Take what was read; 1: the answer is over. */
static int take(struct connection *c, const char *data, size_t size) {
    int64_t at = now();
    for (size_t i = 0; i < size;) {
        if (c->in_body && c->left > 0) {
            size_t part = size - i < (size_t)c->left ? size - i : (size_t)c->left;
            if (!c->first) {
                c->first = 1;
                sample(&first, at - c->began);
            }
            look_for_events(c, data + i, part, at);
            i += part;
            c->left -= part;
            if (c->left == 0 && !c->chunked)
                return 1;
            if (c->left == 0)
                c->left = -1;
        } else if (line_byte(c, data[i++]))
            return 1;
    }
    return 0;
}

static void watch(struct connection *c, int operation, uint32_t events) {
    struct epoll_event e = {.events = events, .data.ptr = c};
    epoll_ctl(poller, operation, c->fd, &e);
}

static void dial(struct connection *c) {
    int one = 1;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(c->fd, (struct sockaddr *)&a, sizeof a)) {
        perror("load: cannot connect");
        exit(1);
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &e);
}

static void restart(struct connection *c) {
    begin(c);
    int sent = push(c);
    if (sent < 0) {
        failed++;
        close(c->fd);
        dial(c);
        begin(c);
        sent = push(c);
    }
    watch(c, EPOLL_CTL_MOD, sent ? EPOLLIN : EPOLLIN | EPOLLOUT);
}

static void ready(struct connection *c, uint32_t events) {
    static char in[IN];
    if (events & EPOLLOUT && push(c) == 1)
        watch(c, EPOLL_CTL_MOD, EPOLLIN);
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        return;
    ssize_t n = recv(c->fd, in, IN, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        failed++;
        close(c->fd);
        dial(c);
        restart(c);
    } else if (take(c, in, n)) {
        sample(&whole, now() - c->began);
        done++;
        failed += c->status != 200;
        restart(c);
    }
}

static int ascending(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void print(const char *name, struct samples *s) {
    qsort(s->values, s->count, sizeof *s->values, ascending);
    printf(",\"%s\":", name);
    if (s->count)
        printf("{\"p50\":%.1f,\"p99\":%.1f}", s->values[s->count / 2], s->values[s->count * 99 / 100]);
    else
        printf("null");
}

static void compose(long body, char *headers, const char *bench) {
    request = malloc(body + 8192);
    char *to = request;
    long size = body < 120 ? 120 : body;
    to += sprintf(to, "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
                      "accept: */*\r\nuser-agent: load/1\r\nx-bench: %s\r\ncontent-length: %ld\r\n", bench, size);
    for (char *line = strtok(headers, "|"); line; line = strtok(NULL, "|"))
        to += sprintf(to, "%s\r\n", line);
    to += sprintf(to, "\r\n");
    char *start = to;
    to += sprintf(to, "{\"model\":\"m\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"");
    memset(to, 'x', size);
    to = start + size - 4;
    memcpy(to, "\"}]}", 4);
    request_size = to + 4 - request;
}

int main(int count, char **arguments) {
    struct epoll_event ready_now[256];
    if (count != 8) {
        fprintf(stderr, "load PORT CONNECTIONS SECONDS REQUESTS BODY-BYTES HEADERS X-BENCH\n");
        return 2;
    }
    port = atoi(arguments[1]);
    int connections = atoi(arguments[2]);
    double seconds = atof(arguments[3]);
    long requests = atol(arguments[4]);
    compose(atol(arguments[5]), arguments[6], arguments[7]);
    whole.values = malloc(SAMPLES * sizeof(float));
    first.values = malloc(SAMPLES * sizeof(float));
    way.values = malloc(SAMPLES * sizeof(float));
    signal(SIGPIPE, SIG_IGN);
    poller = epoll_create1(0);
    struct connection *all = calloc(connections, sizeof *all);
    int64_t start = now(), end = seconds ? start + (int64_t)(seconds * 1e9) : INT64_MAX;
    for (int i = 0; i < connections; i++) {
        dial(all + i);
        restart(all + i);
    }
    while (now() < end && (!requests || done < requests)) {
        int n = epoll_wait(poller, ready_now, 256, 100);
        for (int i = 0; i < n; i++)
            ready(ready_now[i].data.ptr, ready_now[i].events);
    }
    printf("{\"requests\":%ld,\"failures\":%ld,\"seconds\":%.4f,\"events\":%ld", done, failed, (now() - start) / 1e9,
           events_seen);
    print("whole", &whole);
    print("first", &first);
    print("way", &way);
    printf("}\n");
    return 0;
}
