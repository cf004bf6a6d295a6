//! The Debian package, built from the binary under test and taken apart again.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{BINARY, Folder};

#[test]
#[ignore = "needs: dpkg_deb"]
fn the_package_holds_what_a_till_needs_and_its_binary_runs() {
    let folder = Folder::new("package");
    let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/debian/build");
    let built = Command::new(build).arg(BINARY).arg(folder.path()).output();
    let built = built.unwrap();
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    let package = String::from_utf8(built.stdout).unwrap();
    let package = package.trim();

    let root = folder.path().join("root");
    let out = Command::new("dpkg-deb")
        .arg("-x")
        .arg(package)
        .arg(&root)
        .status();
    assert!(out.unwrap().success());
    for file in [
        "etc/popwatch/popwatch.toml",
        "usr/lib/systemd/system/popwatch.service",
        "usr/lib/sysusers.d/popwatch.conf",
        "usr/share/bash-completion/completions/popwatch",
        "usr/share/doc/popwatch/copyright",
        "usr/share/doc/popwatch/examples/till.toml",
        "usr/share/man/man1/popwatch-run.1.gz",
    ] {
        let length = fs::metadata(root.join(file)).map(|meta| meta.len());
        assert!(
            length.as_ref().is_ok_and(|length| *length > 0),
            "{file}: {length:?}"
        );
    }
    let version = Command::new(root.join("usr/bin/popwatch"))
        .arg("--version")
        .output();
    let version = String::from_utf8(version.unwrap().stdout).unwrap();
    let field = Command::new("dpkg-deb")
        .args(["-f", package, "Version"])
        .output();
    let field = String::from_utf8(field.unwrap().stdout).unwrap();
    assert_eq!(version, format!("popwatch {field}"));
    // What is removed and purged leaves the takings where they are.
    let control = folder.path().join("control");
    let out = Command::new("dpkg-deb")
        .arg("-e")
        .arg(package)
        .arg(&control)
        .status();
    assert!(out.unwrap().success());
    for script in ["postinst", "prerm", "postrm"] {
        let text = fs::read_to_string(control.join(script)).unwrap();
        assert!(!text.contains("rm -"), "{script}");
    }
    let conffiles = fs::read_to_string(control.join("conffiles")).unwrap();
    assert_eq!(conffiles, "/etc/popwatch/popwatch.toml\n");
}
