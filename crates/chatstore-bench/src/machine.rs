//! What the numbers were measured on.

use std::fs;

use serde_json::{Value, json};

/// Facts about the machine, for the report. What cannot be found out here is null.
pub fn facts() -> Value {
    json!({
        "system": std::env::consts::OS,
        "architecture": std::env::consts::ARCH,
        "kernel": first_line("/proc/sys/kernel/osrelease"),
        "processor": field("/proc/cpuinfo", "model name"),
        "cores": std::thread::available_parallelism().ok().map(std::num::NonZero::get),
        "memory": field("/proc/meminfo", "MemTotal"),
        "load": load(),
    })
}

/// The load of the machine over the last minute, as the system words it.
pub fn load() -> Option<String> {
    let line = first_line("/proc/loadavg")?;
    line.split(' ').next().map(str::to_owned)
}

/// Memory that a process holds, in KiB, where the system tells.
pub fn resident_kib(process: u32) -> Option<u64> {
    kib(process, "VmRSS")
}

/// The maximum that it has held so far.
pub fn peak_resident_kib(process: u32) -> Option<u64> {
    kib(process, "VmHWM")
}

fn kib(process: u32, name: &str) -> Option<u64> {
    field(&format!("/proc/{process}/status"), name)?.split_whitespace().next()?.parse().ok()
}

fn first_line(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()?.lines().next().map(str::to_owned)
}

fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(':').map(|(_, value)| value.trim().to_owned())
}
