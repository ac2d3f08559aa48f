# WAMR's platform layer for Linux, without its memory mapping, allocation and printing (see platform.c).
set (PLATFORM_DIR ${WAMR_ROOT_DIR}/core/shared/platform)
add_definitions (-DBH_PLATFORM_LINUX -D_GNU_SOURCE -DWASM_HAVE_MREMAP=1)
include_directories (${PLATFORM_DIR}/linux ${PLATFORM_DIR}/include)
set (PLATFORM_SHARED_SOURCE
    ${CMAKE_CURRENT_SOURCE_DIR}/platform.c
    ${PLATFORM_DIR}/common/posix/posix_thread.c
    ${PLATFORM_DIR}/common/posix/posix_time.c
    ${PLATFORM_DIR}/common/posix/posix_sleep.c
    ${PLATFORM_DIR}/common/posix/posix_blocking_op.c)
