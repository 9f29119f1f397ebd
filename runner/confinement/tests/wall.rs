//! The wall from inside: a process raises it and then tries what a guest that
//! broke out would try, and what the runner itself has to do. Each attempt is
//! made without the wall too, so that no row says something about the machine
//! and nothing about the wall.
//!
//! A process cannot take the wall down again: each attempt is made by this very
//! program, started anew with the attempt's name in its environment.

#[path = "wall/attempts.rs"]
mod attempts;
#[path = "wall/stage.rs"]
mod stage;

use attempts::Outcome;
use stage::{Stage, Walls};

use Outcome::{Done, Refused};

/// Neither done nor refused: it got as far as having its arguments looked at.
const REACHED: Outcome = Outcome::Reached;
/// Landlock's newer versions refuse it, older ones leave it to seccomp.
const VARIES: Outcome = Outcome::Varies;
const ACCESS: Outcome = Refused(libc::EACCES);
const PERMISSION: Outcome = Refused(libc::EPERM);

/// An attempt's name in `attempts`; without a wall; with its first half; with both.
const FORBIDDEN: &[(&str, [Outcome; 3])] = &[
    ("read_outside", [Done, ACCESS, ACCESS]),
    ("read_outside_through_a_link", [Done, ACCESS, ACCESS]),
    ("list_outside", [Done, ACCESS, ACCESS]),
    ("open_shadow", [Done, ACCESS, ACCESS]),
    ("write_where_reading_is_allowed", [Done, ACCESS, ACCESS]),
    ("make_where_reading_is_allowed", [Done, ACCESS, ACCESS]),
    ("remove_where_reading_is_allowed", [Done, ACCESS, ACCESS]),
    ("cut_short_outside", [Done, ACCESS, PERMISSION]),
    ("make_a_file_among_sockets", [Done, ACCESS, ACCESS]),
    ("read_a_file_among_sockets", [Done, ACCESS, ACCESS]),
    ("make_a_link", [Done, ACCESS, PERMISSION]),
    ("run_a_program", [Done, ACCESS, PERMISSION]),
    ("execute", [REACHED, REACHED, PERMISSION]),
    ("fork", [Done, Done, PERMISSION]),
    (
        "start_a_thread_by_clone3",
        [REACHED, REACHED, Refused(libc::ENOSYS)],
    ),
    ("clone_with_a_namespace", [REACHED, REACHED, PERMISSION]),
    ("connect_by_tcp", [Done, ACCESS, PERMISSION]),
    ("listen_by_tcp", [Done, ACCESS, PERMISSION]),
    ("send_by_udp", [Done, VARIES, PERMISSION]),
    (
        "connect_to_an_abstract_socket",
        [Done, PERMISSION, PERMISSION],
    ),
    ("connect_to_a_unix_socket", [Done, VARIES, PERMISSION]),
    ("listen_and_replace_a_socket", [Done, Done, PERMISSION]),
    ("make_a_pair_for_datagrams", [Done, Done, PERMISSION]),
    ("filter_packets", [REACHED, REACHED, PERMISSION]),
    ("ask_for_netlink", [Done, Done, PERMISSION]),
    ("send_signals_of_a_descriptor", [Done, Done, PERMISSION]),
    ("signal_the_parent", [Done, PERMISSION, PERMISSION]),
    ("trace", [REACHED, REACHED, PERMISSION]),
    ("read_memory_of_a_process", [Done, Done, PERMISSION]),
    (
        "take_a_descriptor_of_a_process",
        [REACHED, REACHED, PERMISSION],
    ),
    ("unshare", [REACHED, REACHED, PERMISSION]),
    ("enter_a_namespace", [REACHED, REACHED, PERMISSION]),
    ("mount", [REACHED, REACHED, PERMISSION]),
    ("set_up_io_uring", [REACHED, REACHED, PERMISSION]),
    ("load_bpf", [REACHED, REACHED, PERMISSION]),
    ("handle_page_faults", [Done, Done, PERMISSION]),
    ("count_events", [REACHED, REACHED, PERMISSION]),
    ("ask_for_keys", [REACHED, REACHED, PERMISSION]),
    ("change_personality", [Done, Done, PERMISSION]),
    ("change_a_mode", [Done, Done, PERMISSION]),
    ("give_a_file_away", [Done, Done, PERMISSION]),
    ("type_into_the_terminal", [REACHED, REACHED, PERMISSION]),
    ("raise_a_limit", [Done, Done, PERMISSION]),
    ("add_another_filter", [REACHED, REACHED, PERMISSION]),
];

/// What goes on with the whole wall.
const ORDINARY: &[&str] = &[
    "spawn_a_thread",
    "publish_code",
    "make_an_image",
    "wait_for_a_moment",
    "read_a_module",
    "list_modules",
    "write_and_rename",
    "make_and_remove_a_folder",
    "move_between_folders",
    "lock_a_file",
    "talk_to_itself",
    "read_about_itself",
    "read_about_the_machine",
    "count_processors",
    "find_a_user",
    "watch_a_folder",
    "give_way",
    "catch_a_panic",
    "scan_pages",
    "write_to_what_was_open",
];

/// What only whoever asked for it can do: attempt, wall, outcome.
const ASKED_FOR: &[(&str, Walls, Outcome)] = &[
    ("connect_by_tcp", Walls::ToThisPort, Done),
    ("connect_by_tcp", Walls::ToAnotherPort, ACCESS),
    ("connect_by_tcp", Walls::ToAnyPort, Done),
    ("connect_fast_by_tcp", Walls::None, Done),
    ("connect_fast_by_tcp", Walls::ToAnotherPort, PERMISSION),
    ("listen_by_tcp", Walls::ToAnyPort, ACCESS),
    ("listen_by_tcp", Walls::OnAnyPort, Done),
    ("connect_by_tcp", Walls::OnAnyPort, PERMISSION),
    ("send_by_udp", Walls::ToAnyPort, PERMISSION),
    ("send_by_udp", Walls::HostNames, Done),
    ("connect_by_tcp", Walls::HostNames, PERMISSION),
    ("connect_to_a_unix_socket", Walls::UnixConnect, Done),
    (
        "connect_to_an_abstract_socket",
        Walls::UnixConnect,
        PERMISSION,
    ),
    ("give_a_file_away", Walls::GiveAway, Done),
    ("read_of_the_parent", Walls::Both, ACCESS),
    ("read_of_the_parent", Walls::OtherProcesses, Done),
    ("read_what_the_parent_keeps", Walls::OtherProcesses, ACCESS),
    ("read_what_the_parent_keeps", Walls::None, Done),
];

fn check(attempt: &str, walls: Walls, expected: Outcome, wrong: &mut Vec<String>) {
    let outcome = Stage::set().try_in_a_process(attempt, walls);
    if outcome != expected && expected != Outcome::Varies {
        wrong.push(format!(
            "{attempt}, {walls:?}: {outcome:?} instead of {expected:?}"
        ));
    }
}

#[test]
fn what_nobody_asked_for_should_be_refused() {
    let mut wrong = Vec::new();
    for (attempt, outcomes) in FORBIDDEN {
        for (walls, expected) in [Walls::None, Walls::Early, Walls::Both]
            .iter()
            .zip(outcomes)
        {
            check(attempt, *walls, *expected, &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn threads_that_were_there_before_should_make_no_system_call_more() {
    let mut wrong = Vec::new();
    let both = FORBIDDEN
        .iter()
        .map(|(attempt, [_, _, both])| (attempt, both));
    for (attempt, expected) in both {
        check(attempt, Walls::OnAnOlderThread, *expected, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_the_runner_does_should_go_on() {
    let mut wrong = Vec::new();
    for attempt in ORDINARY {
        for walls in [Walls::None, Walls::Both, Walls::OnAnOlderThread] {
            check(attempt, walls, Done, &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_was_asked_for_should_be_possible_and_no_more() {
    let mut wrong = Vec::new();
    for (attempt, walls, expected) in ASKED_FOR {
        check(attempt, *walls, *expected, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_report_should_say_what_is_open() {
    let rows = [
        (Walls::Both, "TCP closed", "", ""),
        (Walls::ToThisPort, "TCP to ", "", ""),
        (Walls::OnAnyPort, "TCP on any port)", "", ""),
        (
            Walls::WithAnOlderThread,
            "seccomp (",
            "threads that were there before it",
            "",
        ),
        (Walls::WithMissingPaths, "seccomp (", "", "stays closed"),
    ];
    for (walls, line, missing, remark) in rows {
        let stage = Stage::set();
        let told = stage.report(walls);
        let [shown, lacks, remarks] = &told;
        assert!(shown.contains("landlock (ABI "), "{told:?}");
        assert!(shown.contains(line), "{told:?}");
        assert!(
            lacks.contains(missing) && lacks.is_empty() == missing.is_empty(),
            "{told:?}"
        );
        assert!(
            remarks.contains(remark) && remarks.is_empty() == remark.is_empty(),
            "{told:?}"
        );
    }
}

/// No test of its own: what the others start.
#[test]
#[ignore = "it is what the other tests start, in a process of its own"]
fn in_a_process_of_its_own() {
    stage::play();
}
