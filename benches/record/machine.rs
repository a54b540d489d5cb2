//! What kind of machine a run was made on.

/// Build, cores, memory and kernel, without the machine's name: `release build, 2 cores of x86_64, 24 GiB, Linux 6.18`.
pub(crate) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib: u64 = memory
        .lines()
        .find_map(|line| {
            line.strip_prefix("MemTotal:")?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .unwrap_or(0);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel: Vec<&str> = kernel.split(['.', '-']).take(2).collect();
    let build = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    format!(
        "{build} build, {cores} cores of {}, {} GiB, Linux {}",
        std::env::consts::ARCH,
        kib.div_ceil(1 << 20),
        kernel.join(".")
    )
}
