//! The golden files that the Python tests read as well.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use formats::launch_plan::{IdMap, LaunchPlan, PlanError, PlanFile, Program, Rlimit, Tmpfs, Volume};
use formats::log_line::{header, Stream, Tag};
use formats::meter::{Keeper, MainProcess, Parts};
use formats::state_file::{
    confinement, Account, Cause, Engine, Kind, LimitHit, Phase, StateError, StateFile, SIZE_BYTES,
};

const NEAR_LIMIT: Account = Account {
    anonymous: 7_340_032,
    file: 1_048_576,
    kernel: 262_144,
};

fn golden(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/fixtures/formats")
        .join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, content: &[u8]) -> Scratch {
        let path = std::env::temp_dir().join(format!("formats-{name}-{}", std::process::id()));
        fs::write(&path, content).unwrap();
        Scratch(path)
    }

    fn c_path(&self) -> CString {
        CString::new(self.0.as_os_str().as_bytes()).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn the_state_file_is_read_field_by_field() {
    let file = Scratch::new("read", &golden("state_file.bin"));
    let state = StateFile::open(&file.c_path()).unwrap_or_else(|error| panic!("{error}"));
    let seen = state.snapshot();
    assert_eq!((seen.kind, seen.phase), (1, 3));
    assert_eq!(seen.boot_id[..3], [0x00, 0x11, 0x22]);
    assert_eq!(
        (seen.main_process, seen.keeper),
        ((4242, 1_000_001), (4243, 1_000_002))
    );
    assert_eq!((seen.exit_status, seen.cause, seen.signal), (143, 2, 15));
    assert_eq!(seen.started, (1_700_000_000_123_456_789, 5_000_000_001));
    assert_eq!(seen.finished, (1_700_000_009_987_654_321, 14_864_197_533));
    assert_eq!(seen.memory, [0x7F00_0000_0000, 131_072, 4_294_967_296]);
    assert_eq!(
        (seen.code, seen.engine, seen.confinement),
        ((0x4000_0000, 40_960), 2, 63)
    );
    assert_eq!((seen.log_bytes, seen.log_dropped), (9_876_543_210, 17));
    assert_eq!((seen.limit_hit, seen.limit_hits), (1, 3));
    assert_eq!(seen.limit, [66_060_288, 67_108_864]);
    assert_eq!(seen.near_limit, NEAR_LIMIT);
    assert!(seen.reason.starts_with("ended by a signal, réason\0".as_bytes()));
}

/// Writes every field through the setters; those that hold the present are taken from the golden file.
#[test]
fn the_state_file_is_written_byte_by_byte() {
    let expected = golden("state_file.bin");
    let file = Scratch::new("write", &[0; SIZE_BYTES]);
    let state = StateFile::open(&file.c_path()).unwrap_or_else(|error| panic!("{error}"));
    state.begin(Kind::Wasm).unwrap_or_else(|error| panic!("{error}"));
    state.set_main_process(4242, 1_000_001);
    state.set_keeper(4243, 1_000_002);
    state.set_linear_memory(0x7F00_0000_0000, 65_536, 4_294_967_296);
    state.set_linear_memory_used(131_072);
    state.set_engine(Engine::AotShared, 0x4000_0000, 40_960);
    state.add_confinement(confinement::USER_NAMESPACE | confinement::NO_NEW_PRIVILEGES);
    state.add_confinement(confinement::LANDLOCK | confinement::SECCOMP);
    state.add_confinement(confinement::CAPABILITIES_DROPPED | confinement::MOUNT_NAMESPACE);
    state.add_log(9_876_543_000, 16);
    state.add_log(210, 1);
    for used in [1, 2, 66_060_288] {
        state.add_limit_hit(LimitHit::GuestPages, used, 67_108_864);
    }
    state.set_near_limit(NEAR_LIMIT);
    state.set_started_now();
    state.set_phase(Phase::Running);
    state.set_reason("ended by a signal, réason");
    assert!(state.exited(143, Cause::Signal, 15));
    assert!(!state.exited(0, Cause::Exited, 0), "the first end counts");
    let seen = state.snapshot();
    assert!(seen.started.0 > 1_700_000_000_000_000_000 && seen.finished.0 >= seen.started.0);
    assert!(seen.finished.1 >= seen.started.1 && seen.started.1 > 0);
    let mut written = fs::read(&file.0).unwrap();
    for present in [16..32, 72..104] {
        written[present.clone()].copy_from_slice(&expected[present]);
    }
    assert_eq!(written, expected);
}

#[test]
fn a_second_life_forgets_the_first() {
    let file = Scratch::new("again", &golden("state_file.bin"));
    let state = StateFile::open(&file.c_path()).unwrap_or_else(|error| panic!("{error}"));
    state
        .begin(Kind::Native)
        .unwrap_or_else(|error| panic!("{error}"));
    let seen = state.snapshot();
    assert_eq!(
        (seen.phase, seen.kind, seen.main_process, seen.exit_status),
        (0, 2, (0, 0), 0)
    );
    assert_eq!(seen.keeper.0 as u32, std::process::id());
    assert_eq!(
        (seen.finished, seen.memory, seen.log_dropped, seen.reason[0]),
        ((0, 0), [0; 3], 0, 0)
    );
    assert_eq!((seen.limit_hit, seen.limit_hits, seen.limit), (0, 0, [0; 2]));
}

#[test]
fn one_keeper_at_a_time() {
    let file = Scratch::new("lock", &golden("state_file.bin"));
    let open = || StateFile::open(&file.c_path()).unwrap_or_else(|error| panic!("{error}"));
    let (first, second) = (open(), open());
    assert_eq!(first.lock(), Ok(()));
    assert_eq!(second.lock(), Err(StateError::Locked));
    assert_eq!(second.is_locked_elsewhere(), Ok(true));
    assert_eq!(first.is_locked_elsewhere(), Ok(false));
    drop(first);
    assert_eq!(second.lock(), Ok(()));
}

#[test]
fn what_is_not_a_state_file_is_refused() {
    let refusal = |name: &str, content: &[u8]| {
        let file = Scratch::new(name, content);
        StateFile::open(&file.c_path()).err()
    };
    let mut newer = golden("state_file.bin");
    newer[8] = 2;
    assert_eq!(refusal("newer", &newer), Some(StateError::Version(2)));
    assert_eq!(refusal("empty", b""), Some(StateError::NotAStateFile));
    assert_eq!(
        refusal("other", &[7; SIZE_BYTES]),
        Some(StateError::NotAStateFile)
    );
    assert_eq!(
        StateFile::open(c"/dev/null").err(),
        Some(StateError::NotAStateFile)
    );
    assert!(matches!(
        StateFile::open(c"/nonexistent").err(),
        Some(StateError::System("open", _))
    ));
}

#[test]
fn the_runner_s_plan() {
    let bytes = golden("launch_plan_runner.bin");
    let plan = LaunchPlan::parse(&bytes, Program::Runner).unwrap_or_else(|error| panic!("{error}"));
    let texts = |key| {
        plan.all(key)
            .map(|value| value.to_bytes().to_vec())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        texts("argument"),
        [&b"main.wasm"[..], b"", b"two words\nand a line"]
    );
    assert_eq!(texts("environment")[1], b"BYTES=\xff\xfe");
    assert_eq!(texts("root-lower"), [b"/store/unpacked/2", b"/store/unpacked/1"]);
    assert_eq!((plan.flag("terminal"), plan.flag("stdin")), (true, false));
    assert_eq!(
        (plan.number("log-max-bytes"), plan.number("memory-max-bytes")),
        (Some(0), Some(67_108_864))
    );
    let volumes: Vec<Volume> = plan.volumes().collect();
    let first = Volume {
        read_only: true,
        directory: true,
        source: b"/srv/a:b:c",
        target: b"/data:x",
    };
    let second = Volume {
        read_only: false,
        directory: false,
        source: b"/h/f:1",
        target: b"/etc/file",
    };
    // The first length counts "/srv/a:b:c", the second "/h/f:1".
    assert_eq!(volumes, [first, second]);
    assert_eq!(
        plan.tmpfs().next(),
        Some(Tmpfs {
            size_bytes: 65536,
            target: b"/tmp"
        })
    );
    let listeners: Vec<_> = plan
        .listeners()
        .map(|listener| (listener.descriptor, listener.name.to_vec()))
        .collect();
    assert_eq!(listeners, [(7, b"8080".to_vec()), (8, b"9090".to_vec())]);
    assert_eq!(
        plan.rlimits().next(),
        Some(Rlimit {
            name: b"nofile",
            soft: 64,
            hard: u64::MAX
        })
    );
    assert_eq!(
        LaunchPlan::parse(&bytes, Program::Monitor).err(),
        Some(PlanError::UnknownKey(expected_offset(&bytes)))
    );
}

/// Where the first key stands that only the runner knows.
fn expected_offset(bytes: &[u8]) -> usize {
    bytes
        .windows(8)
        .position(|window| window == b"\0module\0")
        .unwrap()
        + 1
}

#[test]
fn the_monitor_s_plan() {
    let bytes = golden("launch_plan_monitor.bin");
    let plan = LaunchPlan::parse(&bytes, Program::Monitor).unwrap_or_else(|error| panic!("{error}"));
    let maps: Vec<IdMap> = plan.id_map("uid-map").collect();
    assert_eq!(
        maps,
        [
            IdMap {
                inside: 0,
                outside: 1000,
                count: 1
            },
            IdMap {
                inside: 1,
                outside: 100_000,
                count: 65536
            }
        ]
    );
    assert_eq!(plan.one("root-mounter"), c"/usr/bin/fuse-overlayfs");
    assert_eq!(plan.all("cleanup").count(), 2);
    for cut in 1..bytes.len() {
        assert!(LaunchPlan::parse(&bytes[..cut], Program::Monitor).is_err() || bytes[cut - 1] == 0);
    }
}

#[test]
fn only_a_sealed_plan_is_read() {
    let file = Scratch::new("plan", &golden("launch_plan_monitor.bin"));
    let open = kernel_calls::files::open(&file.c_path(), libc::O_RDONLY, 0).unwrap();
    assert_eq!(PlanFile::map(open.raw(), 0).err(), Some(PlanError::NotSealed));
}

#[test]
fn the_log_s_lines() {
    let mut lines = header(0, Stream::Stdout, Tag::Full).to_vec();
    lines.extend(b"\n");
    lines.extend(header(951_782_400_000_000_001, Stream::Stderr, Tag::Partial));
    lines.extend(b"\0\xff bytes\n");
    lines.extend(header(1_735_689_599_999_999_999, Stream::Stdout, Tag::Full));
    lines.extend(b" two  spaces \n");
    assert_eq!(lines, golden("log_lines.txt"));
}

#[test]
fn the_lines_of_the_meter_are_written_as_they_stand() {
    let full = MainProcess {
        identity: (4242, 1_000_001),
        touched: [41, 2, 244],
        region: [807_661_568, 4_294_967_296],
        parts: Parts {
            own: 57_344,
            linear: 12_288,
            code: 15_360,
            shared: 9_216,
            swap: 4_096,
            linear_size: 131_072,
            file_pages: 23_552,
        },
        page_tables: Some(32_768),
        moved: [Some(0), Some(12_288)],
    };
    let native = MainProcess {
        identity: (4343, 1_000_003),
        touched: [7, 0, 3],
        region: [0, 0],
        parts: Parts {
            own: 4_096,
            shared: 1_024,
            ..Parts::default()
        },
        page_tables: None,
        moved: [None, None],
    };
    let keeper = Keeper {
        identity: (4243, 1_000_002),
        share: 13_312,
        page_tables: 12_288,
    };
    let written = format!("{full}{native}{keeper}");
    assert_eq!(written.as_bytes(), golden("meter_lines.txt"));
}
