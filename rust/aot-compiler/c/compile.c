/*
 * The one door to WAMR's compiler: bytes of a wasm module in, an AOT file of WAMR's out.
 *
 * The structures of WAMR (AOTCompOption, AOTModule) are used here, in C, so that their layout comes from
 * WAMR's own headers and no binding of it has to be kept in step by hand.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aot_compiler.h"
#include "aot_emit_aot_file.h"
#include "aot_runtime.h"
#include "bh_platform.h"
#include "llvm-c/TargetMachine.h"
#include "wasm_export.h"

typedef struct WpodCompileOptions {
    const char *target_cpu;
    const char *stack_usage_file;
    uint32_t optimization_level;
    uint32_t indirect_mode;
} WpodCompileOptions;

typedef struct WpodCompileResult {
    uint8_t *aot_file;
    uint32_t aot_file_size;
    /* Where the list of the object's data sections (a count, then the sections) begins in the AOT file;
       0 where there are none. */
    uint32_t object_data_offset;
} WpodCompileResult;

static const LLVMRelocMode POSITION_INDEPENDENT = LLVMRelocPIC;

extern LLVMTargetMachineRef
__real_LLVMCreateTargetMachineWithOpts(LLVMTargetRef target, const char *triple, const char *cpu,
                                       const char *features, LLVMCodeGenOptLevel opt_level,
                                       LLVMRelocMode reloc_mode, LLVMCodeModel code_model,
                                       bool emit_stack_size_section, const char *stack_usage_output);

/* WAMR asks for static code, whose absolute relocations tie it to one address. The linker puts this function
   in the place of the real one (--wrap), because there is no option for it: position-independent code has no
   absolute relocation, and so the same file pages serve every process at whatever address it maps them. */
LLVMTargetMachineRef
__wrap_LLVMCreateTargetMachineWithOpts(LLVMTargetRef target, const char *triple, const char *cpu,
                                       const char *features, LLVMCodeGenOptLevel opt_level,
                                       LLVMRelocMode reloc_mode, LLVMCodeModel code_model,
                                       bool emit_stack_size_section, const char *stack_usage_output)
{
    (void)reloc_mode;
    return __real_LLVMCreateTargetMachineWithOpts(target, triple, cpu, features, opt_level,
                                                  POSITION_INDEPENDENT, code_model, emit_stack_size_section,
                                                  stack_usage_output);
}

static void
fail(char *error, uint32_t error_size, const char *what, const char *detail)
{
    snprintf(error, error_size, "%s%s%s", what, detail && *detail ? ": " : "", detail ? detail : "");
}

static void
set_options(AOTCompOption *option, const WpodCompileOptions *wanted)
{
    memset(option, 0, sizeof(*option));
    option->target_arch = "x86_64";
    option->target_cpu = (char *)wanted->target_cpu;
    option->is_indirect_mode = wanted->indirect_mode != 0;
    option->disable_llvm_intrinsics = wanted->indirect_mode != 0;
    option->enable_bulk_memory = true;
    option->enable_bulk_memory_opt = true;
    option->enable_tail_call = true;
    option->enable_simd = true;
    option->enable_ref_types = true;
    option->enable_call_indirect_overlong = true;
    option->enable_extended_const = true;
    option->enable_aux_stack_check = true;
    option->opt_level = wanted->optimization_level;
    option->size_level = 3; /* LLVM's small code model */
    option->output_format = AOT_FORMAT_FILE;
    option->bounds_checks = 0;       /* the linear memory is guarded by the hardware */
    option->stack_bounds_checks = 1; /* the stack is not */
    option->stack_usage_file = wanted->stack_usage_file;
    aot_call_stack_features_init_default(&option->call_stack_features);
}

/* Asks WAMR's own AOT loader where the object's data sections stand: strings of a file loaded in place are
   pointers into it. The loader also proves here that it accepts what was just written. */
static bool
find_object_data(WpodCompileResult *result, char *error, uint32_t error_size)
{
    LoadArgs args = { .name = "", .wasm_binary_freeable = false, .no_resolve = true };
    char message[256] = { 0 };
    wasm_module_t module;
    AOTModule *aot;

    module = wasm_runtime_load_ex(result->aot_file, result->aot_file_size, &args, message, sizeof(message));
    if (!module) {
        fail(error, error_size, "the compiled file does not load", message);
        return false;
    }
    aot = (AOTModule *)module;
    result->object_data_offset = 0;
    if (aot->data_section_count > 0) {
        /* the first section's name follows the count (4 bytes) and its own length (2 bytes) */
        size_t offset = (size_t)((uint8_t *)aot->data_sections[0].name - result->aot_file);
        if (offset < 6 || offset >= result->aot_file_size) {
            fail(error, error_size, "the compiled file's data sections are not in place", NULL);
            wasm_runtime_unload(module);
            return false;
        }
        result->object_data_offset = (uint32_t)(offset - 6);
    }
    wasm_runtime_unload(module);
    return true;
}

static bool
compile_module(wasm_module_t module, const WpodCompileOptions *wanted, WpodCompileResult *result, char *error,
               uint32_t error_size)
{
    AOTCompOption option;
    AOTCompData *data = NULL;
    AOTCompContext *context = NULL;
    bool done = false;

    set_options(&option, wanted);
    if (!(data = aot_create_comp_data((WASMModule *)module, "x86_64", false))) {
        fail(error, error_size, "cannot prepare the module", aot_get_last_error());
        goto end;
    }
    if (!(context = aot_create_comp_context(data, &option))) {
        fail(error, error_size, "cannot start the compiler", aot_get_last_error());
        goto end;
    }
    if (!aot_compile_wasm(context)) {
        fail(error, error_size, "cannot compile the module", aot_get_last_error());
        goto end;
    }
    result->aot_file = aot_emit_aot_file_buf(context, data, &result->aot_file_size);
    if (!result->aot_file) {
        fail(error, error_size, "cannot write machine code", aot_get_last_error());
        goto end;
    }
    done = true;
end:
    if (context)
        aot_destroy_comp_context(context);
    if (data)
        aot_destroy_comp_data(data);
    return done;
}

/*
 * Validates and compiles `wasm`. The buffer is written to by WAMR's loader and must outlive the call only.
 * On success the result's buffer belongs to the caller until wpod_aot_free; on failure `error` holds one line.
 * Call it once per process.
 */
bool
wpod_aot_compile(uint8_t *wasm, uint32_t wasm_size, const WpodCompileOptions *wanted, WpodCompileResult *result,
                 char *error, uint32_t error_size)
{
    RuntimeInitArgs init = { .mem_alloc_type = Alloc_With_System_Allocator };
    LoadArgs args = { .name = "", .wasm_binary_freeable = false, .no_resolve = true };
    char message[256] = { 0 };
    wasm_module_t module;
    bool done;

    memset(result, 0, sizeof(*result));
    if (!wasm_runtime_full_init(&init)) {
        fail(error, error_size, "cannot start the engine", NULL);
        return false;
    }
    wasm_runtime_set_log_level(WASM_LOG_LEVEL_FATAL);
    module = wasm_runtime_load_ex(wasm, wasm_size, &args, message, sizeof(message));
    if (!module) {
        fail(error, error_size, "invalid module", message);
        return false;
    }
    done = compile_module(module, wanted, result, error, error_size)
           && find_object_data(result, error, error_size);
    wasm_runtime_unload(module);
    return done;
}

void
wpod_aot_free(uint8_t *aot_file)
{
    if (aot_file)
        wasm_runtime_free(aot_file);
}
