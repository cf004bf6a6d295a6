//! The disk that fails on purpose fails as it says.

use super::*;

#[test]
fn what_was_synced_survives_and_the_rest_only_in_sectors() {
    let mut partly = 0;
    for seed in 0..40 {
        let disk = FaultFs::new(seed);
        let file = disk.create("d/a", 4096).unwrap();
        file.write_at(&[1; 1024], 0).unwrap();
        file.sync_data().unwrap();
        disk.sync_dir("d").unwrap();
        file.write_at(&[2; 2048], 1024).unwrap();
        disk.crash();
        let bytes = disk.bytes("d/a").unwrap();
        assert!(bytes[..1024].iter().all(|byte| *byte == 1));
        let kept: Vec<_> = bytes[1024..3072]
            .chunks(SECTOR)
            .map(|s| s[0] == 2)
            .collect();
        for (sector, kept) in bytes[1024..3072].chunks(SECTOR).zip(&kept) {
            assert!(sector.iter().all(|byte| (*byte == 2) == *kept));
        }
        partly += u32::from(kept.contains(&true) && kept.contains(&false));
        assert!(file.len().is_err(), "a handle from before the crash");
    }
    assert!(partly > 5);
}

#[test]
fn an_unsynced_name_can_vanish_and_a_failed_sync_loses_pages() {
    let mut vanished = 0;
    let mut lost = 0;
    for seed in 0..40 {
        let disk = FaultFs::new(seed);
        drop(disk.create("d/a", 8).unwrap());
        disk.crash();
        vanished += u32::from(disk.bytes("d/a").is_none());

        let file = disk.create("d/b", 8).unwrap();
        disk.sync_dir("d").unwrap();
        file.sync_data().unwrap();
        file.write_at(&[7; 8], 0).unwrap();
        disk.fail_at(disk.ops(), Fault::Io);
        assert!(file.sync_data().is_err());
        file.sync_data().unwrap();
        disk.crash();
        lost += u32::from(disk.bytes("d/b").unwrap() != [7; 8]);
    }
    assert!(vanished > 10, "{vanished}");
    assert!(lost > 10, "{lost}");
}

#[test]
fn a_disk_that_forgets_keeps_what_it_had_synced_before() {
    let mut lost = 0;
    for seed in 0..20 {
        let disk = FaultFs::new(seed);
        let file = disk.create("d/a", 1024).unwrap();
        disk.sync_dir("d").unwrap();
        file.write_at(&[1; 512], 0).unwrap();
        file.sync_data().unwrap();
        disk.forget();
        file.write_at(&[2; 512], 512).unwrap();
        file.sync_data().unwrap();
        disk.crash();
        let bytes = disk.bytes("d/a").unwrap();
        assert_eq!(bytes[..512], [1; 512]);
        lost += u32::from(bytes[512] == 0);
    }
    assert!(lost > 5, "{lost}");
}

#[test]
fn a_full_disk_refuses_and_leaves_no_file() {
    let disk = FaultFs::new(1);
    disk.capacity(100);
    assert!(disk.create("a", 101).is_err());
    assert!(disk.names().is_empty());
    assert_eq!(disk.free_bytes().unwrap(), 100);
}
