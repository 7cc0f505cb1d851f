//! `%h` and `${HOME}`: what stands for what, and which names may stand for anything.

use core::fmt::Write;
use sha1::{Digest, Sha1};

/// The longest text that an expansion may make (bytes).
pub const EXPANDED_MAX: usize = 64 * 1024;

/// Whether a host's name may be used: no leading `-`, nothing that a shell takes for more than a letter, no blank, no control
/// character. The rule of ssh for names that are typed.
#[must_use]
pub fn is_valid_host(name: &str) -> bool {
    let refused = |c: char| "'`\"$\\;&<>|(){},".contains(c) || c.is_ascii_whitespace() || c.is_control();
    !name.is_empty() && !name.starts_with('-') && !name.contains(refused)
}

/// Whether a user's name may be used; ssh lets it have blanks, but not before a `-`, and backslashes, but not at its end.
#[must_use]
pub fn is_valid_user(name: &str) -> bool {
    let refused = |c: char| "'`\";&<>|(){}".contains(c) || c.is_control();
    !name.is_empty()
        && !name.starts_with('-')
        && !name.contains(refused)
        && !name.contains(" -")
        && !name.ends_with('\\')
}

/// The machine and the user that the configuration is read for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Local {
    /// `%u`
    pub user: String,
    /// `%d`
    pub home: String,
    /// `%i`
    pub uid: u32,
    /// `%l`
    pub host: String,
}

/// What each token stands for, of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// Local ones.
    pub local: Local,
    /// `%n`: the host as it was typed.
    pub typed_host: String,
    /// `%h`
    pub host: String,
    /// `%p`
    pub port: u16,
    /// `%r`
    pub user: String,
    /// `%k`
    pub host_key_alias: String,
    /// `%j`
    pub jump_host: String,
}

/// The tokens of most keywords that have any.
pub const ALL: &str = "CLdhijklnpru";

/// Those of ProxyCommand.
pub const PROXY_COMMAND: &str = "hknpr";

/// Those of User: not itself, nor what is made of it.
pub const USER: &str = "Ldhijklnpu";

/// Why a text cannot be expanded.
pub(super) type Why = String;

impl Tokens {
    fn value(&self, token: char) -> Option<String> {
        let local = &self.local;
        Some(match token {
            'C' => self.hash(),
            'L' => local.host.split('.').next().unwrap_or_default().to_owned(),
            'd' => local.home.clone(),
            'h' => self.host.clone(),
            'i' => local.uid.to_string(),
            'j' => self.jump_host.clone(),
            'k' => self.host_key_alias.clone(),
            'l' => local.host.clone(),
            'n' => self.typed_host.clone(),
            'p' => self.port.to_string(),
            'r' => self.user.clone(),
            'u' => local.user.clone(),
            _ => return None,
        })
    }

    /// The hash of `%l%h%p%r%j`.
    fn hash(&self) -> String {
        let text =
            [&*self.local.host, &*self.host, &self.port.to_string(), &*self.user, &*self.jump_host].concat();
        Sha1::digest(text).iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    /// Replaces `%%` and the tokens among `allowed`. Refused are other tokens and a lone `%`.
    ///
    /// # Errors
    /// A text for the user.
    pub fn expand(&self, text: &str, allowed: &str) -> Result<String, String> {
        expand(text, |token| self.value(token).filter(|_| allowed.contains(token)), None)
    }

    /// The same, and `${NAME}` as `variable` has it.
    ///
    /// # Errors
    /// A text for the user; a variable that is not set is an error.
    pub fn expand_with(&self, text: &str, allowed: &str, variable: Variable<'_>) -> Result<String, String> {
        expand(text, |token| self.value(token).filter(|_| allowed.contains(token)), Some(variable))
    }

    /// The same for a command that a shell will read: every name that comes from outside must be harmless there, wherever
    /// it was set.
    ///
    /// # Errors
    /// A text for the user.
    pub fn expand_command(&self, text: &str, allowed: &str) -> Result<String, String> {
        for host in [&self.host, &self.typed_host, &self.host_key_alias] {
            if !is_valid_host(host) {
                return Err(format!("{host}: a host of this name is not given to a shell"));
            }
        }
        if !(self.jump_host.is_empty() || is_valid_host(&self.jump_host)) {
            return Err(format!("{}: a host of this name is not given to a shell", self.jump_host));
        }
        if !is_valid_user(&self.user) {
            return Err(format!("{}: a user of this name is not given to a shell", self.user));
        }
        self.expand(text, allowed)
    }
}

/// Looks an environment variable up.
pub type Variable<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Replaces tokens, and variables if there is a `variable`.
pub(super) fn expand(
    text: &str,
    token: impl Fn(char) -> Option<String>,
    variable: Option<Variable<'_>>,
) -> Result<String, Why> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['%', '$']) {
        let (plain, marked) = rest.split_at(at);
        expanded.push_str(plain);
        rest = match (marked.strip_prefix('%'), marked.strip_prefix("${"), variable) {
            (Some(after), ..) => {
                let name = after.chars().next().ok_or("a lone % at the end")?;
                let value = if name == '%' { Some("%".to_owned()) } else { token(name) };
                expanded.push_str(&value.ok_or_else(|| format!("%{name} means nothing here"))?);
                after.get(name.len_utf8()..).unwrap_or_default()
            }
            (None, Some(after), Some(variable)) => {
                let (name, after) = after.split_once('}').ok_or("${ without }")?;
                let value = Some(name).filter(|name| !name.is_empty()).and_then(variable);
                expanded.push_str(&value.ok_or_else(|| format!("${{{name}}} is not set"))?);
                after
            }
            _ => {
                expanded.push('$');
                marked.get(1..).unwrap_or_default()
            }
        };
        if expanded.len() > EXPANDED_MAX {
            return Err("it becomes too long".to_owned());
        }
    }
    expanded.push_str(rest);
    if expanded.len() > EXPANDED_MAX { Err("it becomes too long".to_owned()) } else { Ok(expanded) }
}

/// Replaces variables only.
pub(super) fn expand_variables(text: &str, variable: Variable<'_>) -> Result<String, Why> {
    // Every token is itself.
    let itself = |token: char| Some(format!("%{token}"));
    expand(&text.replace('%', "%%"), itself, Some(variable))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> Tokens {
        Tokens {
            local: Local { user: "me".into(), home: "/home/me".into(), uid: 7, host: "here.example".into() },
            typed_host: "Short".into(),
            host: "long.example".into(),
            port: 2222,
            user: "ann".into(),
            host_key_alias: "alias".into(),
            jump_host: String::new(),
        }
    }

    #[test]
    fn tokens_and_variables_are_replaced() {
        let variable = |name: &str| (name == "V").then(|| "%h${V}".to_owned());
        let all = |text: &str| tokens().expand_with(text, ALL, &variable);
        assert_eq!(
            all("%%|%L|%d|%h|%i|%j|%k|%l|%n|%p|%r|%u").unwrap(),
            "%|here|/home/me|long.example|7||alias|here.example|Short|2222|ann|me"
        );
        assert_eq!(all("%C").unwrap(), "61091530d7f86563d84aebbe5c238f0862cd7cea", "of %l%h%p%r%j");
        assert_eq!(all("a${V}b$c$").unwrap(), "a%h${V}b$c$", "once, not again");
        for bad in ["%", "%z", "%T", "${", "${}", "${W}", "a%"] {
            assert!(all(bad).is_err(), "{bad}");
        }
        assert_eq!(tokens().expand("${V}", ALL).unwrap(), "${V}");
        assert!(tokens().expand("%u", PROXY_COMMAND).is_err());
        assert_eq!(expand_variables("%h%${V}", &|_| Some("x".into())).unwrap(), "%h%x");
    }

    #[test]
    fn an_expansion_has_a_bound() {
        let variable = |_: &str| Some("x".repeat(1024));
        assert!(tokens().expand_with(&"${V}".repeat(65), ALL, &variable).is_err());
        assert!(tokens().expand_with(&"${V}".repeat(64), ALL, &variable).is_ok());
    }

    #[test]
    fn t100_hosts_and_users_that_a_shell_would_read_are_refused() {
        for name in [
            "-oProxyCommand=x",
            "a;b",
            "$(x)",
            "a\nb",
            "",
            "a b",
            "a\0",
            "`x`",
            "a|b",
            "a{b,c}",
            "a\\",
            "\u{85}",
        ] {
            assert!(!is_valid_host(name), "{name:?}");
            let mut tokens = tokens();
            name.clone_into(&mut tokens.host);
            assert!(tokens.expand_command("echo", ALL).is_err(), "{name:?}");
        }
        for name in ["-l", "a;b", "$(x)", "a\nb", "", "a -b", "a\0", "`x`", "a|b", "a\\", "\"", "\x7f"] {
            assert!(!is_valid_user(name), "{name:?}");
            let mut tokens = tokens();
            name.clone_into(&mut tokens.user);
            assert!(tokens.expand_command("echo", ALL).is_err(), "{name:?}");
        }
        for (host, user) in
            [("a.example", "ann"), ("::1", "DOMAIN\\ann"), ("10.0.0.1", "ann lee"), ("a_b%eth0", "a$b")]
        {
            assert!(is_valid_host(host) && is_valid_user(user), "{host} {user}");
        }
    }
}
