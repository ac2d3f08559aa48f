//! Plans that are taken, and everything that is refused.

use super::*;

fn monitor_plan() -> Vec<u8> {
    let id = "0f".repeat(32);
    let pairs = [
        ("version", "1"),
        ("id", id.as_str()),
        ("state", "/s"),
        ("ready-fd", "5"),
        ("terminal", "0"),
        ("stdin", "0"),
        ("root-path", "/r"),
        ("runtime", "/usr/bin/crun"),
        ("bundle", "/b"),
        ("hide-unified-cgroup", "1"),
        ("pty", "0"),
    ];
    pairs
        .iter()
        .flat_map(|(key, value)| format!("{key}\0{value}\0").into_bytes())
        .collect()
}

fn with(more: &[u8]) -> Vec<u8> {
    [monitor_plan().as_slice(), more].concat()
}

fn refusal(bytes: &[u8]) -> PlanError {
    match LaunchPlan::parse(bytes, Program::Monitor) {
        Ok(_) => panic!("accepted"),
        Err(error) => error,
    }
}

#[test]
fn a_whole_plan_is_accepted_and_read() {
    let bytes = with(b"uid-map\x000:1000:1\0uid-map\x001:100000:65536\0");
    let plan = LaunchPlan::parse(&bytes, Program::Monitor).ok().unwrap();
    assert!(plan.flag("hide-unified-cgroup"));
    assert_eq!(plan.number("ready-fd"), Some(5));
    assert_eq!(plan.optional("root-mounter"), None);
    assert_eq!(plan.one("bundle"), c"/b");
    let maps: Vec<IdMap> = plan.id_map("uid-map").collect();
    assert_eq!(
        maps[1],
        IdMap {
            inside: 1,
            outside: 100_000,
            count: 65536
        }
    );
}

#[test]
fn listening_sockets() {
    assert_eq!(
        Listener::parse(b"7:http-8080"),
        Some(Listener {
            descriptor: 7,
            name: b"http-8080"
        })
    );
    for wrong in [&b"2:a"[..], b"7", b"7:", b":a", b"x:a", b"7:a:b", b"7:a b"] {
        assert_eq!(Listener::parse(wrong), None);
    }
}

#[test]
fn everything_else_is_refused() {
    let good = monitor_plan();
    assert_eq!(refusal(&with(b"module\0/m\0")), PlanError::UnknownKey(good.len()));
    assert_eq!(
        refusal(&with(b"colour\0red\0")),
        PlanError::UnknownKey(good.len())
    );
    assert_eq!(refusal(&with(b"pty\x001\0")), PlanError::Repeated("pty"));
    assert_eq!(refusal(&with(b"uid-map\x000:1\0")), PlanError::Value("uid-map"));
    assert_eq!(refusal(&with(b"cgroup\0relative\0")), PlanError::Value("cgroup"));
    assert_eq!(
        refusal(&with(b"timeout-seconds\x000\0")),
        PlanError::Value("timeout-seconds")
    );
    assert_eq!(refusal(&with(b"cleanup\0")), PlanError::Malformed);
    assert_eq!(refusal(&with(b"x")), PlanError::Malformed);
    assert_eq!(refusal(b""), PlanError::Malformed);
    assert_eq!(refusal(b"version\x002\0"), PlanError::Version);
    assert_eq!(refusal(b"version\x001\0"), PlanError::Missing("id"));
}

#[test]
fn several_plans_in_one_file_are_told_apart() {
    // A key of the name is none, and so is the word within a value.
    let first = with(b"cleanup\0version\0");
    let second = monitor_plan();
    let both = [first.as_slice(), second.as_slice()].concat();
    let plans: Vec<&[u8]> = split(&both).collect();
    assert_eq!(plans, [first.as_slice(), second.as_slice()]);
    assert_eq!(split(&second).collect::<Vec<_>>(), [second.as_slice()]);
    assert_eq!(split(b"").count(), 0);
    for bad in [&b"x"[..], b"no\0plan\0", b"version", b"version\x001\0version"] {
        assert_eq!(split(bad).flatten().copied().collect::<Vec<u8>>(), bad);
    }
    assert_eq!(refusal(&both), PlanError::UnknownKey(first.len()));
}

#[test]
fn volumes_may_hold_colons() {
    let volume = Volume::parse(b"ro:d:00000006:/a:b:c:/data:x").unwrap();
    assert_eq!((volume.source, volume.target), (&b"/a:b:c"[..], &b"/data:x"[..]));
    assert!(volume.read_only && volume.directory);
    for bad in [
        &b"ro:d:00000099:/a:/b"[..],
        b"xx:d:00000002:/a:/b",
        b"ro:d:2:/a:/b",
        b"rw:f:00000002:/a:b",
    ] {
        assert_eq!(Volume::parse(bad), None);
    }
}

#[test]
fn rlimits_and_tmpfs() {
    assert_eq!(
        Rlimit::parse(b"nofile:10:-1"),
        Some(Rlimit {
            name: b"nofile",
            soft: 10,
            hard: u64::MAX
        })
    );
    assert_eq!(Rlimit::parse(b"nofile:-2:1"), None);
    assert_eq!(
        Tmpfs::parse(b"0:/a:b"),
        Some(Tmpfs {
            size_bytes: 0,
            target: b"/a:b"
        })
    );
    assert_eq!(Tmpfs::parse(b":/a"), None);
}
