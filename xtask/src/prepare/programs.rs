//! Programs of the machine: found, installed with apt as root, or named.

use crate::shell::{Cmd, has};

/// Each program, the Debian package that brings it, and what needs it.
const WANTED: [(&str, &str, &str); 13] = [
    ("java", "default-jre-headless", "Kafka's tools"),
    ("javac", "default-jdk-headless", "the exchange of directories with Apache Kafka"),
    ("mvn", "maven", "fetching Kafka's jars"),
    ("unzip", "unzip", "unpacking Kafka's message definitions"),
    ("python3", "python3", "the Python clients"),
    ("node", "nodejs", "KafkaJS"),
    ("npm", "npm", "KafkaJS"),
    ("go", "golang-go", "the Go clients"),
    ("cc", "gcc", "confluent-kafka-go"),
    ("kcat", "kcat", "kcat"),
    ("strace", "strace", "system calls that fail"),
    ("mkfs.ext4", "e2fsprogs", "a disk that is full"),
    ("valgrind", "valgrind", "the gate of counted instructions"),
];

/// Installs what is missing where that is allowed, and names the rest.
pub(super) fn install(lacking: &mut Vec<String>) {
    let mut missing: Vec<&str> = WANTED.iter().filter(|(program, ..)| !has(program)).map(|w| w.1).collect();
    // Debian's python3 comes without venv; other builds of Python have it.
    if has("python3") && Cmd::new("python3").args(["-c", "import venv, ensurepip"]).output().is_err() {
        missing.push("python3-venv");
    }
    if missing.is_empty() {
        return;
    }
    if is_root() && has("apt-get") {
        println!("installing {}", missing.join(" "));
        let installed = Cmd::new("apt-get").args(["update", "-qq"]).output().and_then(|_| {
            Cmd::new("apt-get")
                .args(["install", "-y", "-qq", "--no-install-recommends"])
                .args(&missing)
                .env("DEBIAN_FRONTEND", "noninteractive")
                .output()
        });
        if let Err(e) = installed {
            println!("apt-get: {e:#}");
        }
    }
    for (program, package, need) in WANTED.iter().filter(|(program, ..)| !has(program)) {
        lacking.push(format!("{program}, for {need} (as root: apt-get install {package})"));
    }
}

fn is_root() -> bool {
    Cmd::new("id").args(["-u"]).output().is_ok_and(|id| id.trim() == "0")
}
