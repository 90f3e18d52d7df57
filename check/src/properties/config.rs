//! Configuration files: reading never panics, a wrong line is named, and a rewrite says the same as what was in force.

use tally_engine::config::{Config, quote};

/// Reads any bytes as a configuration file; if they are one, rewrites it: the new file reads to the same settings, and
/// rewriting that changes nothing.
///
/// # Panics
/// When it is not so.
pub fn a_rewrite_says_the_same(text: &[u8]) {
    match Config::parse(text) {
        Err(error) => {
            let line = text.split(|&byte| byte == b'\n').nth(error.line - 1).unwrap_or_default();
            assert_eq!(line.trim_ascii(), error.text);
        }
        Ok(config) => {
            let rewritten = config.rewritten(text);
            assert_eq!(Config::parse(&rewritten).as_ref(), Ok(&config), "{}", String::from_utf8_lossy(&rewritten));
            assert_eq!(config.rewritten(&rewritten), rewritten, "{}", String::from_utf8_lossy(&rewritten));
        }
    }
}

/// What CONFIG SET accepts, CONFIG GET prints in a form that CONFIG SET accepts and keeps.
///
/// # Panics
/// When it is not so.
pub fn what_was_set_can_be_set_again(name: &[u8], value: &[u8]) {
    let mut config = Config::default();
    let before = config.clone();
    match config.set(name, value) {
        Err(_) => assert_eq!(config, before),
        Ok(directive) => {
            let printed = directive.printed(&config);
            let mut again = Config::default();
            assert!(again.set(name, &printed).is_ok(), "{}", String::from_utf8_lossy(&printed));
            assert_eq!(again, config);
        }
    }
}

/// The same of the first word of a line and of the rest of it.
///
/// # Panics
/// When it is not so.
pub fn any_line_can_be_set_again(line: &[u8]) {
    let (name, value) = line.split_at(line.iter().position(|&byte| byte == b' ').unwrap_or(line.len()));
    what_was_set_can_be_set_again(name, value.strip_prefix(b" ").unwrap_or_default());
}

/// Words that are quoted are split into the same words.
///
/// # Panics
/// When they are not.
pub fn quoted_words_are_split_again(words: &[Vec<u8>]) {
    let line = words.iter().map(|word| quote::quoted(word)).collect::<Vec<_>>().join(&b' ');
    assert_eq!(quote::split(&line).as_deref(), Some(words));
}
