/* A fake NVML with the functions that sparkd calls. It acts as a GB10, an H100, an H200, or a failing driver.
 *
 * Every call reads the kind from the file in FAKE_NVML: `gb10`, `gb10-total`, `h100`, `h200`, `gone`, `absent`; `hangs` is
 * a GPU whose sensors do not answer while it is that.
 * The file in FAKE_NVML_PROCESSES has lines "PID bytes". Between the first nvmlInit and the last nvmlShutdown it keeps
 * the file in FAKE_NVML_DEVICE open, as NVML keeps /dev/nvidiactl. Signatures and codes: NVIDIA's nvml.h, API version 12.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, UNINITIALIZED = 1, NOT_SUPPORTED = 3, INSUFFICIENT_SIZE = 7, DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15 };

typedef struct { unsigned long long total, free, used; } memory_t;
typedef struct { unsigned int pid; unsigned long long used; unsigned int gpu, compute; } process_t;

static int open_count, device = -1;

static int is(const char *kind)
{
    char told[32] = "absent";
    FILE *file = fopen(getenv("FAKE_NVML") ? getenv("FAKE_NVML") : "", "r");
    if (file) {
        if (fscanf(file, "%31s", told) != 1)
            strcpy(told, "absent");
        fclose(file);
    }
    return strcmp(told, kind) == 0;
}

static int lost(void) { return open_count == 0 ? UNINITIALIZED : is("gone") ? GPU_IS_LOST : SUCCESS; }

static unsigned long long mem_total(void)
{
    unsigned long long kilobytes = 0;
    FILE *file = fopen("/proc/meminfo", "r");
    if (file) {
        if (fscanf(file, "MemTotal: %llu", &kilobytes) != 1)
            kilobytes = 0;
        fclose(file);
    }
    return kilobytes * 1024;
}

int nvmlInitWithFlags(unsigned int flags)
{
    (void)flags;
    if (is("absent") || is("gone"))
        return DRIVER_NOT_LOADED;
    open_count++;
    if (device < 0 && getenv("FAKE_NVML_DEVICE"))
        device = open(getenv("FAKE_NVML_DEVICE"), O_RDWR);
    return SUCCESS;
}
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlInit(void) { return nvmlInitWithFlags(0); }
int nvmlShutdown(void)
{
    if (open_count == 0)
        return UNINITIALIZED;
    if (--open_count == 0 && device >= 0) {
        close(device);
        device = -1;
    }
    return SUCCESS;
}

const char *nvmlErrorString(int code)
{
    return code == GPU_IS_LOST ? "GPU is lost" : code == DRIVER_NOT_LOADED ? "Driver Not Loaded" : "Not Supported";
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **device)
{
    static int only;
    (void)index;
    *device = &only;
    return lost();
}

int nvmlDeviceGetName(void *device, char *name, unsigned int length)
{
    (void)device;
    snprintf(name, length, "NVIDIA %s", is("h100") ? "H100 80GB HBM3" : is("h200") ? "H200" : is("gb10") ? "GB10" : "Grace");
    return lost();
}

int nvmlDeviceGetCudaComputeCapability(void *device, int *major, int *minor)
{
    (void)device;
    *major = is("gb10") ? 12 : 9;
    *minor = is("gb10") ? 1 : 0;
    return lost();
}

int nvmlDeviceGetMemoryInfo(void *device, memory_t *memory)
{
    unsigned long long gib = 1ULL << 30;
    (void)device;
    if (lost())
        return lost();
    if (is("gb10"))
        return NOT_SUPPORTED;
    if (is("gb10-total"))
        *memory = (memory_t){mem_total(), mem_total() / 2, mem_total() / 2};
    else if (is("h200"))
        *memory = (memory_t){mem_total() / 10 * 11, 100 * gib, 0};
    else
        *memory = (memory_t){80 * gib, 72 * gib, 8 * gib};
    return SUCCESS;
}

int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned int *count, process_t *found)
{
    unsigned int room = *count, read = 0, pid;
    unsigned long long used;
    FILE *file = fopen(getenv("FAKE_NVML_PROCESSES") ? getenv("FAKE_NVML_PROCESSES") : "", "r");
    (void)device;
    while (file && fscanf(file, "%u %llu", &pid, &used) == 2) {
        if (found && read < room)
            found[read] = (process_t){pid, used, 0, 0};
        read++;
    }
    if (file)
        fclose(file);
    *count = read;
    return lost() ? lost() : read > room ? INSUFFICIENT_SIZE : SUCCESS;
}

/* Sensors. Like a GB10's, those of a `gb10` do not report the energy. */

typedef struct { unsigned int gpu, memory; } utilization_t;

int nvmlDeviceGetUtilizationRates(void *device, utilization_t *use)
{
    (void)device;
    while (is("hangs"))
        usleep(10000);
    *use = (utilization_t){96, 12};
    return lost();
}

int nvmlDeviceGetTemperature(void *device, int sensor, unsigned int *celsius)
{
    (void)device;
    (void)sensor;
    *celsius = 71;
    return lost();
}

int nvmlDeviceGetPowerUsage(void *device, unsigned int *milliwatts)
{
    (void)device;
    *milliwatts = 84250;
    return lost();
}

int nvmlDeviceGetClockInfo(void *device, int type, unsigned int *megahertz)
{
    (void)device;
    *megahertz = type == 1 ? 2405 : 9999; /* 1: NVML_CLOCK_SM */
    return lost();
}

int nvmlDeviceGetCurrentClocksThrottleReasons(void *device, unsigned long long *reasons)
{
    (void)device;
    *reasons = is("gb10") ? 0x21 : 0x1; /* idle; a GB10 is too hot as well */
    return lost();
}

int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *millijoules)
{
    (void)device;
    if (is("gb10"))
        return NOT_SUPPORTED;
    *millijoules = 7200500;
    return lost();
}
