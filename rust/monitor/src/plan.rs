//! The parts of the launch plan that several modules need, and the addresses of mappings.

use core::ffi::CStr;

use formats::launch_plan::{LaunchPlan, PlanError, PlanFile, Program};
use kernel_calls::initial_stack::Place;

/// A page table serves this much of the address space.
const TABLE_BYTES: usize = 2 << 20;
static ANCHOR: u8 = 0;

/// Where plan and state file are mapped: in the two megabytes of the program itself, so that one page table
/// serves all. Where the place is taken the kernel chooses another one.
fn near(offset: usize) -> usize {
    (&raw const ANCHOR as usize & !(TABLE_BYTES - 1)) + offset
}

/// The state file's place.
pub fn state_address() -> usize {
    near(TABLE_BYTES / 2)
}

/// The stack's place; the deepest calls take some tens of kilobytes.
pub fn stack_place() -> Place {
    Place {
        base: near(TABLE_BYTES / 4 * 3),
        length: TABLE_BYTES / 4,
    }
}

/// A plan up to this size is copied: the memory of a file and its mapping cost more than these bytes of the stack.
pub const COPY_BYTES: usize = 1536;

/// Reads the plan in the memfd `fd` for the rest of the process's life: into `copy`, or mapped where it is larger.
pub fn read(fd: i32, copy: &mut [u8; COPY_BYTES]) -> Result<LaunchPlan<'_>, PlanError> {
    let file = PlanFile::map(fd, near(TABLE_BYTES / 2 + 0x1_0000))?;
    let length = file.bytes().len();
    if let Some(bytes) = copy.get_mut(..length) {
        bytes.copy_from_slice(file.bytes());
        return LaunchPlan::parse(bytes, Program::Monitor);
    }
    // SAFETY: the mapping is not undone, for `file` is forgotten below (a refused plan ends the process).
    let bytes: &'static [u8] = unsafe { core::slice::from_raw_parts(file.bytes().as_ptr(), length) };
    core::mem::forget(file);
    LaunchPlan::parse(bytes, Program::Monitor)
}

/// The runtime's name, for messages.
pub fn runtime_name<'a>(plan: &LaunchPlan<'a>) -> &'a [u8] {
    base_name(plan.one("runtime"))
}

/// What follows the last slash.
pub fn base_name(path: &CStr) -> &[u8] {
    path.to_bytes()
        .rsplit(|&byte| byte == b'/')
        .next()
        .unwrap_or_default()
}

/// Whether the container lives in a user namespace, one that the launcher makes or one that is there.
pub fn has_user_namespace(plan: &LaunchPlan<'_>) -> bool {
    plan.optional("uid-map").is_some() || plan.optional("user-namespace").is_some()
}
