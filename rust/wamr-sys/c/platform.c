/*
 * The part of WAMR's platform layer that wpod replaces.
 *
 * - Mapping: WAMR's own asks for huge pages on every mapping of 2 MB and more. The reservation of a linear
 *   memory (8 GB) always is, and a container that touched one page of it would own 2 MB.
 *   Mappings also lie side by side where the program wants them, which saves page tables.
 * - Printing: the engine must not write to descriptors that belong to the guest. What matters is returned
 *   through error buffers and exceptions.
 */
#include "platform_api_vmcore.h"

int
bh_platform_init(void)
{
    return 0;
}

void
bh_platform_destroy(void)
{}

int
os_printf(const char *format, ...)
{
    (void)format;
    return 0;
}

int
os_vprintf(const char *format, va_list arguments)
{
    (void)format;
    (void)arguments;
    return 0;
}

void *
os_malloc(unsigned size)
{
    return malloc(size);
}

void *
os_realloc(void *pointer, unsigned size)
{
    return realloc(pointer, size);
}

void
os_free(void *pointer)
{
    free(pointer);
}

int
os_dumps_proc_mem_info(char *out, unsigned int size)
{
    (void)out;
    (void)size;
    return -1;
}

static size_t
whole_pages(size_t size)
{
    size_t page_size = (size_t)getpagesize();
    return (size + page_size - 1) & ~(page_size - 1);
}

static int
protection(int wamr_protection)
{
    int result = PROT_NONE;
    if (wamr_protection & MMAP_PROT_READ)
        result |= PROT_READ;
    if (wamr_protection & MMAP_PROT_WRITE)
        result |= PROT_WRITE;
    if (wamr_protection & MMAP_PROT_EXEC)
        result |= PROT_EXEC;
    return result;
}

/* Where the next mapping would lie best; 0: anywhere. */
static uintptr_t next_place;

void
wpod_place_mappings_at(uintptr_t address)
{
    next_place = address;
}

/* The place for a mapping of this length, which the next one will follow. */
void *
wpod_next_place(size_t length)
{
    uintptr_t place = next_place;
    if (place)
        next_place += whole_pages(length);
    return (void *)place;
}

void *
os_mmap(void *hint, size_t size, int wamr_protection, int wamr_flags, os_file_handle file)
{
    int flags = MAP_ANONYMOUS | MAP_PRIVATE | MAP_NORESERVE;
    size_t length = whole_pages(size);
    void *address;

    (void)file;
    if (length < size)
        return NULL;
#if defined(BUILD_TARGET_X86_64)
    if (wamr_flags & MMAP_MAP_32BIT)
        flags |= MAP_32BIT;
#endif
    if (wamr_flags & MMAP_MAP_FIXED)
        flags |= MAP_FIXED;
    else if (!hint)
        hint = wpod_next_place(length);
    address = mmap(hint, length, protection(wamr_protection), flags, -1, 0);
    return address == MAP_FAILED ? NULL : address;
}

void
os_munmap(void *address, size_t size)
{
    if (address)
        munmap(address, whole_pages(size));
}

void *
os_mremap(void *address, size_t old_size, size_t new_size)
{
    void *moved = mremap(address, whole_pages(old_size), whole_pages(new_size), MREMAP_MAYMOVE);
    return moved == MAP_FAILED ? NULL : moved;
}

int
os_mprotect(void *address, size_t size, int wamr_protection)
{
    return address ? mprotect(address, whole_pages(size), protection(wamr_protection)) : 0;
}

void
os_dcache_flush(void)
{}

void
os_icache_flush(void *start, size_t length)
{
    (void)start;
    (void)length;
}
