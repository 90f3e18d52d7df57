//! The engine's surroundings in a real process: the kernel's clocks, the allocator's figure, facts for INFO.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, Timespec, clock_gettime};
use tally_engine::{PeerFailure, PeerId, World};

use crate::memory;
use crate::peers::Peers;

/// Clocks and facts of this process.
#[derive(Debug)]
pub struct SystemWorld {
    executable: PathBuf,
    system: String,
    total_memory: u64,
    page_size: u64,
    peers: Peers,
}

impl Default for SystemWorld {
    fn default() -> Self {
        Self::new()
    }
}

impl SystemWorld {
    /// Gathers what does not change.
    #[must_use]
    pub fn new() -> SystemWorld {
        let uname = rustix::system::uname();
        let part = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
        SystemWorld {
            executable: std::env::current_exe().unwrap_or_default(),
            system: format!("{} {} {}", part(uname.sysname()), part(uname.release()), part(uname.machine())),
            total_memory: total_memory(),
            page_size: rustix::param::page_size() as u64,
            peers: Peers::default(),
        }
    }

    /// Pages in core, in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let pages = statm.split_ascii_whitespace().nth(1).and_then(|field| field.parse::<u64>().ok());
        pages.unwrap_or(0) * self.page_size
    }
}

fn microseconds(time: Timespec) -> i64 {
    time.tv_sec.wrapping_mul(1_000_000).wrapping_add(time.tv_nsec / 1_000)
}

fn total_memory() -> u64 {
    let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = info.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Seconds of processor time as INFO shows them: (system, user).
fn processor_time(who: libc::c_int) -> (String, String) {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is valid for the call, and a zeroed rusage is a valid value.
    let usage = unsafe {
        libc::getrusage(who, usage.as_mut_ptr());
        usage.assume_init()
    };
    let text = |time: libc::timeval| format!("{}.{:06}", time.tv_sec, time.tv_usec);
    (text(usage.ru_stime), text(usage.ru_utime))
}

impl World for SystemWorld {
    #[inline]
    fn now_us(&mut self) -> u64 {
        // The monotonic clock is never negative.
        microseconds(clock_gettime(ClockId::Monotonic)) as u64
    }

    #[inline]
    fn unix_us(&mut self) -> i64 {
        microseconds(clock_gettime(ClockId::Realtime))
    }

    fn used_memory(&self, _account: &dyn Fn() -> usize) -> usize {
        memory::used_bytes()
    }

    fn sleep_us(&mut self, us: u64) {
        thread::sleep(Duration::from_micros(us));
    }

    fn release_memory(&mut self) {
        memory::trim();
    }

    fn connect_peer(&mut self, host: &[u8], port: u16, timeout_ms: u64) -> Result<PeerId, PeerFailure> {
        self.peers.connect(host, port, timeout_ms)
    }

    fn send_to_peer(&mut self, peer: PeerId, bytes: &[u8], timeout_ms: u64) -> Result<(), PeerFailure> {
        self.peers.send(peer, bytes, timeout_ms)
    }

    fn receive_from_peer(&mut self, peer: PeerId, room: &mut [u8], timeout_ms: u64) -> Result<usize, PeerFailure> {
        self.peers.receive(peer, room, timeout_ms)
    }

    fn close_peer(&mut self, peer: PeerId) {
        self.peers.close(peer);
    }

    fn change_directory(&mut self, path: &[u8]) -> Result<Vec<u8>, String> {
        let changed = std::env::set_current_dir(OsStr::from_bytes(path)).and_then(|()| std::env::current_dir());
        changed.map(|absolute| absolute.into_os_string().into_vec()).map_err(|error| {
            // The system's words without the number that Rust adds.
            let text = error.to_string();
            text.split(" (os error").next().unwrap_or_default().to_owned()
        })
    }

    fn process_fact(&self, field: &str) -> Option<String> {
        let fact = match field {
            "os" => self.system.clone(),
            "arch_bits" => usize::BITS.to_string(),
            "multiplexing_api" => "epoll".to_owned(),
            "atomicvar_api" => "atomic-builtin".to_owned(),
            // Clients read it as three numbers; what compiled this server is not GCC.
            "gcc_version" => "0.0.0".to_owned(),
            "process_id" => std::process::id().to_string(),
            "executable" => self.executable.display().to_string(),
            "mem_allocator" => "libc".to_owned(),
            "total_system_memory" => self.total_memory.to_string(),
            "used_memory_rss" | "allocator_resident" => self.resident_bytes().to_string(),
            "allocator_allocated" | "allocator_active" => memory::used_bytes().to_string(),
            "used_cpu_sys" => processor_time(libc::RUSAGE_SELF).0,
            "used_cpu_user" => processor_time(libc::RUSAGE_SELF).1,
            "used_cpu_sys_children" => processor_time(libc::RUSAGE_CHILDREN).0,
            "used_cpu_user_children" => processor_time(libc::RUSAGE_CHILDREN).1,
            "open_files_limit" => getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX).to_string(),
            _ => return None,
        };
        Some(fact)
    }
}
