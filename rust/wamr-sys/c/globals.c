/*
 * What the engine has no public function for: the globals of an instance that are not exported.
 */
#include <string.h>

#include "wasm_runtime.h"

/* Copies the first 32-bit cell of an instance's globals, imported ones included; false where there is none. The
 * field is at the same place for interpreted and compiled modules (struct WASMModuleInstance). */
bool
wpod_first_global(WASMModuleInstanceCommon *instance, uint32 *value)
{
    WASMModuleInstance *module = (WASMModuleInstance *)instance;
    if (module->global_data_size < sizeof *value)
        return false;
    memcpy(value, module->global_data, sizeof *value);
    return true;
}
