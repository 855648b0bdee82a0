//! Credentials in the arguments of well-known commands: `curl -u user:password`, `mysql -ppassword`.

use super::Detector;
use super::class::from;
use super::scan::Stretch;

/// The form in which a command takes a credential.
#[derive(Clone, Copy)]
enum Form {
    /// `user:password` after one of the options.
    Pair(&'static [&'static [u8]]),
    /// A password after one of the options, or attached to the first of them.
    Password(&'static [&'static [u8]]),
}

const COMMANDS: &[(&[u8], Form)] = &[
    (b"curl", Form::Pair(&[b"-u", b"--user", b"-U", b"--proxy-user"])),
    (b"http", Form::Pair(&[b"-a", b"--auth"])),
    (b"mysql", Form::Password(&[b"-p"])),
    (b"mysqldump", Form::Password(&[b"-p"])),
    (b"mysqladmin", Form::Password(&[b"-p"])),
    (b"mariadb", Form::Password(&[b"-p"])),
    (b"sshpass", Form::Password(&[b"-p"])),
    (b"login", Form::Password(&[b"-p"])),
    (b"mongo", Form::Password(&[b"-p"])),
    (b"mongosh", Form::Password(&[b"-p"])),
    (b"mongodump", Form::Password(&[b"-p"])),
    (b"redis-cli", Form::Password(&[b"-a"])),
];

/// Returns the names of the commands, each of which is a trigger with a space after it.
pub(super) fn names() -> impl Iterator<Item = &'static [u8]> {
    COMMANDS.iter().map(|(name, _)| *name)
}

/// Returns the credential in the arguments of the command whose name ends before the space at `index`.
pub(super) fn credential(bytes: &[u8], index: usize) -> Option<Stretch> {
    const LONGEST: usize = 256;
    let head = bytes.get(..index)?;
    let is_name = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'-';
    let length = head.iter().rev().take(16).take_while(is_name).count();
    let (_, form) = COMMANDS.iter().find(|(name, _)| *name == from(head, index - length))?;
    let line = from(bytes, index);
    let line = line.get(..LONGEST).unwrap_or(line);
    let mut start = index;
    let mut is_value = false;
    for argument in line.split(|byte| matches!(byte, b' ' | b'\n')) {
        let begin = start;
        start += argument.len() + 1;
        if argument.is_empty() {
            continue;
        }
        let (value, offset) = unquoted(argument);
        match form {
            Form::Pair(options) => {
                if is_value && is_pair(value) {
                    return Some((Detector::Basic, begin + offset, begin + offset + value.len()));
                }
                is_value = options.contains(&argument);
            }
            Form::Password(options) => {
                if is_value && is_password(value) {
                    return Some((Detector::Secret, begin + offset, begin + offset + value.len()));
                }
                let attached = options.first().and_then(|option| argument.strip_prefix(*option));
                if let Some(attached) = attached
                    && is_password(attached)
                {
                    let end = begin + argument.len();
                    return Some((Detector::Secret, end - attached.len(), end));
                }
                is_value = options.contains(&argument);
            }
        }
    }
    None
}

/// Returns an argument without its quotes, and the place of its first byte.
fn unquoted(argument: &[u8]) -> (&[u8], usize) {
    for quote in [b"\"", b"'"] {
        if let Some(inner) = argument.strip_prefix(quote) {
            return (inner.strip_suffix(quote).unwrap_or(inner), 1);
        }
    }
    (argument, 0)
}

/// Whether a text is a user and a password. `1000:1000` names a user and a group.
fn is_pair(text: &[u8]) -> bool {
    let Some(colon) = text.iter().position(|byte| *byte == b':') else { return false };
    let password = from(text, colon + 1);
    colon > 0 && password.len() >= 3 && !password.starts_with(b"//")
}

/// Whether a text can be a password: neither an option nor a port number.
fn is_password(text: &[u8]) -> bool {
    text.len() >= 5 && !text.starts_with(b"-") && !text.iter().all(u8::is_ascii_digit)
}
