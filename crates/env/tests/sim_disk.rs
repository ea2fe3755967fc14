//! What a simulated disk keeps, loses and refuses.
#![cfg(sim)]

use std::collections::BTreeSet;
use std::io::ErrorKind;

use ottla_env::fs::{self, File};
use ottla_env::sim::{
    DiskFaults, DiskOperation, Sim, crash, die_at_dir_sync, die_at_effect, disk_effects, host, is_dying, kill,
    meanwhile,
};

fn on_many_seeds(mut scenario: impl FnMut()) {
    for seed in 1..=200 {
        Sim::new(seed).run(async { scenario() });
    }
}

#[test]
fn what_was_synced_survives_every_power_cut() {
    on_many_seeds(|| {
        fs::create_dir_all("/data/t-0").expect("created");
        fs::sync_dir("/").expect("synced");
        fs::sync_dir("/data").expect("synced");
        let log = File::create("/data/t-0/log").expect("created");
        log.write_all_at(&[7; 10_000], 0).expect("written");
        log.sync_data().expect("synced");
        fs::sync_dir("/data/t-0").expect("synced");
        log.write_all_at(&[8; 9_000], 10_000).expect("written");
        fs::write_atomically("/data/checkpoint", "safe").expect("written");
        crash();
        assert!(log.len().is_err(), "open files do not survive");
        assert_eq!(&fs::read("/data/t-0/log").expect("read")[..10_000], &[7; 10_000]);
        assert_eq!(fs::read_to_string("/data/checkpoint").expect("read"), "safe");
    });
}

#[test]
fn what_was_not_synced_meets_every_fate() {
    let (mut lengths, mut torn, mut names) = (BTreeSet::new(), 0, BTreeSet::new());
    on_many_seeds(|| {
        let log = File::create("/log").expect("created");
        log.sync_data().expect("synced");
        fs::sync_dir("/").expect("synced");
        log.write_all_at(&[1; 8_192], 0).expect("written");
        log.write_all_at(&[2; 8_192], 8_192).expect("written");
        File::create("/unsynced name").expect("created").sync_all().expect("synced");
        fs::rename("/unsynced name", "/renamed").expect("renamed");
        crash();
        let content = fs::read("/log").expect("read");
        lengths.insert(content.len());
        torn += u32::from(content.chunks(8_192).any(|half| half.contains(&0) && half.iter().any(|&b| b != 0)));
        names.insert((fs::exists("/unsynced name"), fs::exists("/renamed")));
    });
    assert!(lengths.contains(&0) && lengths.contains(&8_192) && lengths.contains(&16_384), "{lengths:?}");
    assert!(torn > 10, "{torn} torn writes");
    let possible = BTreeSet::from([(false, false), (true, false), (false, true)]);
    assert_eq!(names, possible, "a file has one name or none");
}

#[test]
fn a_rename_over_a_file_leaves_the_old_or_the_new() {
    let mut seen = BTreeSet::new();
    on_many_seeds(|| {
        fs::write_atomically("/checkpoint", "old").expect("written");
        let file = File::create("/checkpoint.tmp").expect("created");
        file.write_all_at(b"new", 0).expect("written");
        file.sync_all().expect("synced");
        fs::rename("/checkpoint.tmp", "/checkpoint").expect("renamed");
        crash();
        seen.insert(fs::read_to_string("/checkpoint").expect("read"));
    });
    assert_eq!(seen, BTreeSet::from(["new".to_owned(), "old".to_owned()]));
}

#[test]
fn a_failed_sync_may_lose_for_good() {
    let mut lost = 0;
    on_many_seeds(|| {
        let log = File::create("/log").expect("created");
        fs::sync_dir("/").expect("synced");
        log.write_all_at(b"promised", 0).expect("written");
        host("main").fail_disk_at(DiskOperation::Sync, 1);
        assert!(log.sync_data().is_err());
        log.sync_data().expect("the second sync lies");
        let mut back = [0; 8];
        log.read_exact_at(&mut back, 0).expect("it is still in the cache");
        crash();
        lost += u32::from(fs::file_len("/log").expect("known") == 0);
    });
    assert!((50..150).contains(&lost), "{lost} of 200");
}

#[test]
fn a_full_disk_says_so_and_recovers() {
    Sim::new(1).run(async {
        host("main").set_disk_capacity(1_000);
        let log = File::create("/log").expect("created");
        assert_eq!(log.write_all_at(&[1; 1_500], 0).expect_err("full").kind(), ErrorKind::StorageFull);
        assert_eq!(log.len().expect("known"), 1_000, "what fitted was written");
        assert_eq!(log.reserve(0, 1_001).expect_err("full").kind(), ErrorKind::StorageFull);
        assert_eq!(fs::space("/").expect("known").available, 0);
        log.set_len(10).expect("cut");
        File::create("/other").expect("created").write_all_at(&[1; 990], 0).expect("there is room again");
        fs::remove_file("/log").expect("removed");
        assert_eq!(fs::space("/").expect("known").available, 10);
    });
}

#[test]
fn faults_come_as_asked() {
    Sim::new(1).run(async {
        let log = File::create("/log").expect("created");
        log.write_all_at(&[1; 1_000], 0).expect("written");
        let main = host("main");
        main.set_disk_faults(DiskFaults { short_reads: 1_000_000, ..DiskFaults::default() });
        assert!(log.read_at(&mut [0; 1_000], 0).expect("read") < 1_000);
        log.read_exact_at(&mut [0; 1_000], 0).expect("read piece by piece");
        main.set_disk_faults(DiskFaults { read_errors: 1_000_000, ..DiskFaults::default() });
        let error = log.read_at(&mut [0; 10], 0).expect_err("EIO");
        assert!(error.to_string().starts_with("read /log:"), "{error}");
        assert!(fs::is_device_failure(&error));
        assert!(!fs::is_device_failure(&File::open("/missing").expect_err("no such file")));
        main.set_disk_faults(DiskFaults { name_errors: 1_000_000, ..DiskFaults::default() });
        assert!(File::create("/x").is_err() && fs::rename("/log", "/y").is_err() && fs::remove_file("/log").is_err());
        main.set_disk_faults(DiskFaults { write_errors: 1_000_000, ..DiskFaults::default() });
        assert!(log.write_all_at(&[1], 0).is_err() && log.set_len(0).is_err());
        main.set_disk_faults(DiskFaults::default());
        assert_eq!(log.len().expect("known"), 1_000);
    });
}

#[test]
fn a_torn_write_loses_sectors_of_either_size_or_all_but_its_length() {
    let mut seen = BTreeSet::new();
    for seed in 1..=2_000 {
        Sim::new(seed).run(async {
            let log = File::create("/log").expect("created");
            fs::sync_dir("/").expect("synced");
            log.write_all_at(&[1; 16_384], 0).expect("written");
            crash();
            let content = fs::read("/log").expect("read");
            let holds = |size: usize| content.chunks(size).all(|sector| sector.iter().all(|b| *b == sector[0]));
            assert!(holds(512), "no sector is mixed");
            let (written, lost) = (content.contains(&1), content.contains(&0));
            seen.insert(match (written, lost) {
                (true, true) if holds(4_096) => "torn at 4 KiB",
                (true, true) => "torn at 512 B",
                (false, true) if content.len() == 16_384 => "the length alone",
                (false, _) => "lost",
                (true, false) if content.len() == 16_384 => "kept",
                (true, false) => "cut short",
            });
        });
    }
    let all = ["cut short", "kept", "lost", "the length alone", "torn at 4 KiB", "torn at 512 B"];
    assert_eq!(seen, BTreeSet::from(all));
}

#[test]
fn a_later_write_may_arrive_without_an_earlier_one() {
    let (mut first, mut second) = (0, 0);
    on_many_seeds(|| {
        let log = File::create("/log").expect("created");
        log.set_len(1_024).expect("long enough");
        log.sync_all().expect("synced");
        fs::sync_dir("/").expect("synced");
        log.write_all_at(&[1; 512], 0).expect("written");
        log.write_all_at(&[2; 512], 512).expect("written");
        crash();
        let content = fs::read("/log").expect("read");
        match (content[0], content[512]) {
            (1, 0) => first += 1,
            (0, 2) => second += 1,
            _ => {}
        }
    });
    assert!(first > 10 && second > 10, "{first} and {second} of 200");
}

#[test]
fn bits_rot_for_good() {
    Sim::new(1).run(async {
        let log = File::create("/log").expect("created");
        log.write_all_at(&[0; 1_000], 0).expect("written");
        log.sync_all().expect("synced");
        fs::sync_dir("/").expect("synced");
        host("main").set_disk_faults(DiskFaults { bit_rot: 1_000_000, ..DiskFaults::default() });
        let mut read = [0; 1_000];
        log.read_exact_at(&mut read, 0).expect("read");
        host("main").set_disk_faults(DiskFaults::default());
        assert_eq!(read.iter().map(|byte| byte.count_ones()).sum::<u32>(), 1);
        crash();
        assert_eq!(fs::read("/log").expect("read"), read, "it is on the medium");
    });
}

#[test]
fn a_file_rots_where_it_is_told_to() {
    on_many_seeds(|| {
        let log = File::create("/log").expect("created");
        log.write_all_at(&[7; 1_000], 0).expect("written");
        log.sync_all().expect("synced");
        fs::sync_dir("/").expect("synced");
        log.write_all_at(&[8; 1_000], 1_000).expect("written");
        let before = disk_effects();
        host("main").rot_file("/log", 500, &[0; 64]).expect("there");
        assert_eq!(disk_effects(), before, "nobody does anything");
        let rotten = [&[7; 500][..], &[0; 64], &[7; 436]].concat();
        assert_eq!(fs::read("/log").expect("read")[..1_000], rotten);
        crash();
        assert_eq!(fs::read("/log").expect("read")[..1_000], rotten, "it was durable when it rotted");
        host("main").rot_file("/log", 990, &[0; 10_000]).expect("there");
        assert!(fs::file_len("/log").expect("there") <= 2_000, "it gets no longer");
        host("main").rot_file("/gone", 0, &[0]).expect_err("there is no such file");
    });
}

#[test]
fn a_write_may_be_taken_in_pieces() {
    Sim::new(1).run(async {
        host("main").set_disk_faults(DiskFaults { short_writes: 1_000_000, ..DiskFaults::default() });
        let log = File::create("/log").expect("created");
        let before = disk_effects();
        log.write_all_at(&[7; 1_000], 0).expect("written in the end");
        assert!(disk_effects() - before > 3);
        assert_eq!(fs::read("/log").expect("read"), [7; 1_000]);
    });
}

#[test]
fn faults_hold_where_they_were_put() {
    Sim::new(1).run(async {
        fs::create_dir_all("/a").and_then(|()| fs::create_dir_all("/b")).expect("created");
        let (a, b) = (File::create("/a/x").expect("created"), File::create("/b/x").expect("created"));
        let faults = DiskFaults { write_errors: 1_000_000, name_errors: 1_000_000, ..DiskFaults::default() };
        host("main").set_disk_faults_below("/a", faults);
        assert!(a.write_all_at(&[1], 0).is_err() && File::create("/a/y").is_err());
        b.write_all_at(&[1], 0).expect("another device");
        File::create("/b/y").expect("another device");
    });
}

/// Every effect of a small story is a point at which its process may die; what came before is there, what comes after
/// is not.
#[test]
fn a_process_dies_before_any_effect() {
    let story = || -> std::io::Result<()> {
        let log = File::create("/log")?;
        log.write_all_at(&[1; 10], 0)?;
        log.sync_data()?;
        fs::rename("/log", "/renamed")?;
        fs::sync_dir("/")?;
        fs::remove_file("/renamed")
    };
    let effects = Sim::new(1).run(async {
        story().expect("nothing goes wrong");
        disk_effects()
    });
    assert_eq!(effects, 6);
    for nth in 1..=effects {
        Sim::new(nth).run(async {
            die_at_effect(nth);
            assert!(story().is_err() && is_dying());
            assert!(fs::read("/log").is_err() && fs::read("/renamed").is_err(), "not even reads work");
            kill();
            assert_eq!(fs::exists("/log"), (2..=4).contains(&nth), "{nth}");
            assert_eq!(fs::exists("/renamed"), nth > 4, "{nth}");
            if nth >= 3 {
                let at = if nth <= 4 { "/log" } else { "/renamed" };
                assert_eq!(fs::file_len(at).expect("there"), 10);
            }
            story().expect("the next process can");
        });
    }
}

#[test]
fn names_behave_as_posix_says() {
    Sim::new(1).run(async {
        fs::create_dir_all("/a/b").expect("created");
        fs::create_dir_all("a/./b/../b").expect("it exists");
        fs::write_atomically("/a/file", "1").expect("written");
        let kind = |result: std::io::Result<()>| result.expect_err("refused").kind();
        assert_eq!(kind(fs::create_dir_all("/a/file/c")), ErrorKind::NotADirectory);
        assert_eq!(kind(fs::rename("/a", "/a/b/c")), ErrorKind::InvalidInput);
        assert_eq!(kind(fs::rename("/a/file", "/a/b")), ErrorKind::IsADirectory);
        assert_eq!(kind(fs::rename("/nothing", "/x")), ErrorKind::NotFound);
        assert_eq!(File::create_new("/a/file").expect_err("it exists").kind(), ErrorKind::AlreadyExists);
        assert!(File::open("/a/file").expect("opened").write_all_at(b"x", 0).is_err());
        let open = File::open("/a/file").expect("opened");
        fs::rename("/a", "/moved").expect("renamed");
        fs::remove_dir_all("/moved").expect("removed");
        open.read_exact_at(&mut [0], 0).expect("an open file lives on without a name");
        assert!(fs::read_dir("/").expect("listed").is_empty());
    });
}

#[test]
fn a_lock_ends_with_its_holder_or_the_host() {
    Sim::new(1).run(async {
        let held = fs::lock("/.lock").expect("possible").expect("free");
        assert!(fs::lock("/.lock").expect("possible").is_none());
        drop(held);
        let held = fs::lock("/.lock").expect("possible").expect("free");
        crash();
        let again = fs::lock("/.lock").expect("possible").expect("its holder is dead");
        drop(held);
        assert!(fs::lock("/.lock").expect("possible").is_none(), "the dead holder does not free it");
        drop(again);
    });
}

#[test]
fn directories_that_are_created_durably_survive_every_power_cut() {
    on_many_seeds(|| {
        fs::create_dir_durably("/data/logs/a").expect("created");
        fs::create_dir_durably("/data/logs/b").expect("created");
        crash();
        assert!(fs::exists("/data/logs/a") && fs::exists("/data/logs/b"));
    });
}

/// Two syncs of a directory; by function and by whether its caller counts.
fn sync_here() -> u32 {
    fs::sync_dir("/").expect("synced");
    line!() - 1
}

#[track_caller]
fn sync_for_the_caller() {
    fs::sync_dir("/").expect("synced");
}

#[test]
fn a_sync_that_is_left_out_keeps_nothing() {
    let create = |name: &str| File::create(name).expect("created").sync_all().expect("synced");
    let run = |sim: &Sim| {
        sim.run(async {
            create("/a");
            let here = sync_here();
            create("/b");
            sync_for_the_caller();
            let caller = line!() - 1;
            create("/c");
            fs::write_atomically("/d", "").expect("written");
            let write = line!() - 1;
            crash();
            (["/a", "/b", "/c", "/d"].map(fs::exists), [here, caller, write])
        })
    };
    let sim = Sim::new(1);
    let (kept, lines) = run(&sim);
    assert_eq!(kept, [true; 4]);
    assert_eq!(sim.dir_syncs(), lines.map(|line| (file!(), line)).into());
    let [_, caller, write] = lines;
    let all_kept = |left_out: u32| {
        let kept = (1..=100).map(|seed| run(&Sim::without_dir_sync(seed, (file!(), left_out))).0);
        kept.fold([true; 4], |all, kept| [0, 1, 2, 3].map(|n| all[n] && kept[n]))
    };
    assert_eq!(all_kept(caller), [true; 4], "the next sync of the directory takes all names along");
    assert_eq!(all_kept(write), [true, true, false, false], "nobody syncs it after that");
}

#[test]
fn what_another_thread_does_during_a_sync_happens_once() {
    Sim::new(1).run(async {
        let file = File::create("/log").expect("created");
        meanwhile(2, || fs::write_atomically("/meanwhile", "x").expect("written"));
        file.sync_data().expect("synced");
        assert!(!fs::exists("/meanwhile"));
        file.sync_data().expect("synced");
        assert!(fs::exists("/meanwhile"));
        fs::remove_file("/meanwhile").expect("removed");
        file.sync_data().expect("synced");
        assert!(!fs::exists("/meanwhile"));
    });
}

#[test]
fn a_process_may_die_before_a_sync_of_a_directory() {
    Sim::new(1).run(async {
        let create = |name: &str| File::create(name).expect("created");
        die_at_dir_sync(2);
        fs::sync_dir("/").expect("the first");
        create("/a").sync_all().expect("not of a directory");
        assert!(!is_dying());
        fs::sync_dir("/").expect_err("the second");
        assert!(is_dying());
        kill();
        assert!(fs::exists("/a"));
        (0..3).for_each(|_| fs::sync_dir("/").expect("it is over"));
    });
}
