//! From the command line to a server that accepts connections, and from its end to the exit code.
//!
//! Order matters: the process leaves the terminal before it has threads, the working directory is changed before any
//! relative path is used, the sockets are bound before the dataset is loaded (a second server on the port fails at
//! once), and who connects meanwhile is told so.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Instant;

use tally_engine::aof::AofErrorKind;
use tally_engine::{Config, Engine, LoadError, LogLevel};

use crate::effects::{existing, path};
use crate::event_loop::{EventLoop, LoadFailure};
use crate::listen::Listener;
use crate::settings::{self, SettingsError};
use crate::world::SystemWorld;
use crate::{crash, daemon, files, limits, listen, logging, signals};

/// The version of Redis whose behaviour this server has.
const REDIS_VERSION: &str = "5.0.14";
/// Where the pid goes when a daemon was not told.
const DEFAULT_PID_FILE: &str = "/var/run/redis.pid";

/// Runs a server until it ends. `arguments` are those of `redis-server`: a configuration file or `-`, then options.
/// Returns the exit code of the process.
#[must_use]
pub fn serve(arguments: &[OsString]) -> u8 {
    logging::install();
    crash::abort_on_panic();
    match start(arguments) {
        Ok(code) => u8::try_from(code).unwrap_or(1),
        Err(Fatal::Said) => 1,
        Err(Fatal::Error(error)) => {
            logging::line(LogLevel::Warning, &error);
            1
        }
    }
}

/// Why a start came to an end.
enum Fatal {
    /// The reason was logged or printed where it was found.
    Said,
    /// The line to log.
    Error(String),
}

impl Fatal {
    fn of(what: &str) -> impl FnOnce(io::Error) -> Fatal {
        move |error| Fatal::Error(format!("{what}: {}", files::failure(&error).text))
    }
}

fn start(arguments: &[OsString]) -> Result<i32, Fatal> {
    let (mut config, configured) = settings::gather(arguments).map_err(|error| match error {
        SettingsError::Line(error) => {
            eprintln!("{error}");
            Fatal::Said
        }
        error @ SettingsError::File { .. } => Fatal::Error(error.to_string()),
    })?;
    open_log(&config)?;
    let supervisor = daemon::Supervisor::from_directive(config.supervised);
    let background = config.daemonize && supervisor == daemon::Supervisor::None;
    if background {
        daemon::daemonize().map_err(Fatal::of("Can't become a daemon"))?;
    }
    let (version, pid) = (env!("CARGO_PKG_VERSION"), std::process::id());
    tracing::warn!(
        "Tally {version} is starting, compatible with Redis version={REDIS_VERSION}, bits={}, pid={pid}",
        usize::BITS
    );
    if configured {
        tracing::warn!("Configuration loaded");
    } else {
        tracing::warn!(
            "Warning: no config file specified, using the default config. In order to specify a config file use tally \
             serve /path/to/redis.conf"
        );
    }
    enter_directory(&mut config)?;
    signals::install().map_err(Fatal::of("Can't install signal handlers"))?;
    logging::set_role(logging::Role::Primary);

    let wanted = u64::try_from(config.maxclients).unwrap_or(0);
    let allowed = limits::make_room_for_clients(wanted).ok_or(Fatal::Said)?;
    if allowed < wanted {
        config.maxclients = i64::try_from(allowed).unwrap_or(i64::MAX);
    }
    let listeners = bind(&config)?;
    let pid_file = pid_file(&config, background);
    if let Some(path) = &pid_file {
        daemon::write_pid_file(path);
    }
    banner(&config);
    tracing::warn!("Server initialized");
    listen::warn_of_small_backlog(i32::try_from(config.tcp_backlog).unwrap_or(i32::MAX));

    let unix_socket = (!config.unixsocket.is_empty()).then(|| path(&config.unixsocket));
    let world = SystemWorld::new();
    let mut engine = Engine::new(config, seed());
    let mut server = EventLoop::new(world, listeners).map_err(Fatal::of("Can't create the event loop"))?;
    engine.start(&mut server);
    load(&mut server, &mut engine)?;
    server.execute_effects(&mut engine);
    if server.exit.is_none() && engine.config().port != 0 {
        tracing::info!("Ready to accept connections");
    }
    if let Some(path) = unix_socket.as_ref().filter(|_| server.exit.is_none()) {
        tracing::info!("The server is now ready to accept connections at {}", path.display());
    }
    supervisor.notify_ready();

    let ended = server.run(&mut engine);
    if let Some(child) = server.child.take() {
        child.stop();
    }
    if let Some(path) = pid_file {
        tracing::info!("Removing the pid file.");
        // Somebody may have removed it before.
        let _ = std::fs::remove_file(path);
    }
    if let Some(path) = unix_socket {
        tracing::info!("Removing the unix socket file.");
        let _ = std::fs::remove_file(path);
    }
    ended.map_err(Fatal::of("Waiting for events"))
}

fn open_log(config: &Config) -> Result<(), Fatal> {
    use tally_engine::config::value::Choice;

    logging::set_level(config.loglevel);
    if !config.logfile.is_empty() {
        let file = path(&config.logfile);
        let opened = std::fs::OpenOptions::new().append(true).create(true).open(&file);
        let opened = opened.and_then(|_| logging::set_file(Some(&std::path::absolute(&file)?)));
        opened.map_err(|error| {
            eprintln!("Can't open the log file: {}", files::failure(&error).text);
            Fatal::Said
        })?;
    }
    if config.syslog_enabled {
        let identity = String::from_utf8_lossy(&config.syslog_ident);
        logging::enable_syslog(&identity, config.syslog_facility.word()).map_err(Fatal::of("Can't open syslog"))?;
    }
    Ok(())
}

/// Changes to `dir`, and makes the setting the absolute path that CONFIG GET shows.
fn enter_directory(config: &mut Config) -> Result<(), Fatal> {
    let current = std::env::current_dir().and_then(|start| {
        if config.dir.is_empty() {
            return Ok(start);
        }
        std::env::set_current_dir(path(&config.dir))?;
        std::env::current_dir()
    });
    let current = current.map_err(|error| {
        let (dir, text) = (String::from_utf8_lossy(&config.dir), files::failure(&error).text);
        Fatal::Error(format!("Can't chdir to '{dir}': {text}"))
    })?;
    config.dir = current.into_os_string().into_encoded_bytes();
    Ok(())
}

fn bind(config: &Config) -> Result<Vec<Listener>, Fatal> {
    let backlog = i32::try_from(config.tcp_backlog).unwrap_or(i32::MAX);
    let mut listeners = Vec::new();
    if let Some(port) = u16::try_from(config.port).ok().filter(|port| *port != 0) {
        let addresses: Vec<String> =
            config.bind.iter().map(|address| String::from_utf8_lossy(address).into_owned()).collect();
        listeners = listen::tcp(&addresses, port, backlog)
            .map_err(|error| Fatal::Error(format!("Could not create server TCP listening socket {error}")))?;
    }
    if !config.unixsocket.is_empty() {
        let permissions = u32::try_from(config.unixsocketperm).unwrap_or(0);
        let listener = listen::unix(&path(&config.unixsocket), permissions, backlog)
            .map_err(|error| Fatal::Error(format!("Opening Unix socket: {error}")))?;
        listeners.push(listener);
    }
    if listeners.is_empty() {
        return Err(Fatal::Error("Configured to not listen anywhere, exiting.".to_owned()));
    }
    Ok(listeners)
}

fn pid_file(config: &Config, background: bool) -> Option<PathBuf> {
    if !config.pidfile.is_empty() {
        return std::path::absolute(path(&config.pidfile)).ok();
    }
    background.then(|| PathBuf::from(DEFAULT_PID_FILE))
}

/// The banner that tools look for; elsewhere than on standard output only where it is asked for.
fn banner(config: &Config) {
    let (port, pid) = (config.port, std::process::id());
    if logging::to_standard_output() || config.always_show_logo {
        let version = env!("CARGO_PKG_VERSION");
        logging::raw(
            format!(
                "\n    |=|=|=|=|   Tally {version} ({REDIS_VERSION} compatible) {} bit\n\
                 \x20   |-|-|-|-|   Running in standalone mode\n\
                 \x20   |=|=|=|=|   Port: {port}\n\
                 \x20   |-|-|-|-|   PID: {pid}\n\n",
                usize::BITS
            )
            .as_bytes(),
        );
    }
    tracing::info!("Running mode=standalone, port={port}.");
}

/// Loads the dataset: the AOF where it is switched on, else the dump; a file that is not there is an empty dataset.
fn load(server: &mut EventLoop, engine: &mut Engine) -> Result<(), Fatal> {
    let config = engine.config();
    let aof = config.appendonly;
    let name = path(if aof { &config.appendfilename } else { &config.dbfilename });
    let Some(length) = existing(&name).map_err(Fatal::of("Fatal error loading the DB"))? else {
        return Ok(());
    };
    if aof && length == 0 {
        return Ok(());
    }
    let began = Instant::now();
    let loaded = server.load_while_serving(engine, aof, &name);
    if server.exit.is_some() {
        return Ok(());
    }
    let seconds = began.elapsed().as_secs_f64();
    match loaded {
        Ok(()) => {
            let from = if aof { "append only file" } else { "disk" };
            tracing::info!("DB loaded from {from}: {seconds:.3} seconds");
            Ok(())
        }
        Err(error) => {
            let name = name.display();
            // [AOF-6]
            let way_out = match &error {
                LoadFailure::File(LoadError::Aof(error)) if matches!(error.kind, AofErrorKind::Truncated { .. }) => {
                    format!(
                        " With `aof-load-truncated yes`, or after `tally aof {name} --fix`, it is loaded up to there."
                    )
                }
                _ => String::new(),
            };
            Err(Fatal::Error(format!("Fatal error loading the DB from {name}: {error}.{way_out} Exiting.")))
        }
    }
}

/// A seed nobody can guess: hash seeds and run ids come from it.
fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};

    // Two keys from the system's random source, hashed with the time and the process.
    RandomState::new().hash_one((Instant::now(), std::process::id()))
}
