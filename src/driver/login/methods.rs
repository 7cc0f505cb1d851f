//! Which method a client tries next: what the user prefers of what the server takes, each as often as it makes sense.
//!
//! It counts; how a method is gone through it does not know, nor whether there is somebody to ask beyond what it is told.

use crate::driver::options::Options;
use crate::keys::ssh_config::PubkeyAuthentication;
use crate::userauth::Method;
use crate::wire::NameList;

/// The order of ssh (ssh_config(5), PreferredAuthentications), as far as the methods are there.
const PREFERRED: [Method; 3] = [Method::Publickey, Method::KeyboardInteractive, Method::Password];

/// Keys that no file names and that are offered before those in files and other methods have their turn: an agent may have more of them than
/// a server lets be tried (`MaxAuthTries` of sshd_config(5): 6). Two tries are left: a server may name keyboard-interactive and
/// have no question.
pub(super) const STRAY_KEYS_MAX: u32 = 4;

/// What may still be tried.
#[derive(Clone, Debug)]
pub(super) struct Methods {
    /// In the order of preference; without what is switched off.
    order: Vec<Method>,
    /// How often a person is asked for each of his methods.
    prompts_max: u32,
    passwords: u32,
    interactive: u32,
    /// Keyboard-interactive has asked something in this step; if it never does, once is enough.
    was_interviewed: bool,
    stray_keys: u32,
}

impl Methods {
    /// `asks` says whether there is a person to ask, and whether he may be.
    pub(super) fn new(options: &Options, asks: bool) -> Self {
        let preferred: Vec<_> = match options.config.preferred_authentications.as_deref() {
            Some(list) => list.split(',').filter_map(|name| Method::from_name(name.trim())).collect(),
            None => PREFERRED.to_vec(),
        };
        let on = |method: &Method| match method {
            Method::None => false,
            Method::Publickey => options.config.pubkey_authentication != PubkeyAuthentication::No,
            Method::KeyboardInteractive => options.config.kbd_interactive_authentication && asks,
            Method::Password => options.password_authentication && asks,
        };
        let order = preferred.into_iter().filter(on).collect();
        let prompts_max = options.number_of_password_prompts;
        let (passwords, interactive, stray_keys) = (0, 0, 0);
        Self { order, prompts_max, passwords, interactive, was_interviewed: false, stray_keys }
    }

    /// For the story: what may be tried, in its order.
    pub(super) fn preferred(&self) -> String {
        self.order.iter().map(|method| method.name()).collect::<Vec<_>>().join(",")
    }

    /// What to try next of what the server takes. `stray` says whether the next key is one that no file names; nothing if
    /// there is no next key.
    pub(super) fn next(&mut self, takes: &NameList<'_>, stray: Option<bool>) -> Option<Method> {
        let taken: Vec<_> =
            self.order.iter().filter(|method| takes.contains(method.name())).copied().collect();
        let late = stray == Some(true) && self.had_strays();
        let possible = |method: &&Method| match method {
            Method::None => false,
            Method::Publickey => stray.is_some(),
            Method::KeyboardInteractive => {
                self.interactive < self.prompts_max && (self.interactive == 0 || self.was_interviewed)
            }
            Method::Password => self.passwords < self.prompts_max,
        };
        let others = taken.iter().find(|method| **method != Method::Publickey && possible(method));
        let method = match taken.iter().find(possible) {
            Some(Method::Publickey) if late => others.or(Some(&Method::Publickey)),
            found => found,
        };
        match method? {
            Method::Publickey => self.stray_keys += u32::from(stray == Some(true)),
            Method::KeyboardInteractive => self.interactive += 1,
            Method::Password => self.passwords += 1,
            Method::None => {}
        }
        method.copied()
    }

    /// Whether as many keys that no file names were offered as may be before all else.
    pub(super) const fn had_strays(&self) -> bool {
        self.stray_keys >= STRAY_KEYS_MAX
    }

    /// Whether a key may be tried at all.
    pub(super) fn has_keys(&self, takes: &NameList<'_>) -> bool {
        self.order.contains(&Method::Publickey) && takes.contains(Method::Publickey.name())
    }

    /// Keyboard-interactive asks something.
    pub(super) const fn interview(&mut self) {
        self.was_interviewed = true;
    }

    /// How often a password was asked for.
    pub(super) const fn passwords(&self) -> u32 {
        self.passwords
    }

    /// A step is done: the next begins like the first.
    pub(super) const fn begin_again(&mut self) {
        (self.passwords, self.interactive, self.stray_keys) = (0, 0, 0);
        self.was_interviewed = false;
    }

    /// Nobody is to be asked for a password: the host may be another.
    pub(super) fn without_passwords(&mut self) {
        self.order.retain(|method| *method == Method::Publickey);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::ssh_config::Config;

    fn options(change: impl FnOnce(&mut Config)) -> Options {
        let mut config = Config::default();
        change(&mut config);
        Options::from_config("host", config)
    }

    const ALL: &[u8] = b"password,publickey,keyboard-interactive,hostbased";

    /// What is tried until nothing is left, with so many keys, of which the last ones are named by no file.
    fn tried(options: &Options, asks: bool, takes: &[u8], keys: u32, stray: u32) -> String {
        let mut methods = Methods::new(options, asks);
        let takes = NameList::from_bytes(takes).unwrap();
        let (mut left, mut tried) = (keys, String::new());
        loop {
            let next = (left > 0).then_some(left <= stray);
            let Some(method) = methods.next(&takes, next) else { return tried };
            methods.interview();
            tried.push_str(match method {
                Method::Publickey => "k",
                Method::KeyboardInteractive => "i",
                Method::Password => "p",
                Method::None => "n",
            });
            left -= u32::from(method == Method::Publickey);
        }
    }

    #[test]
    fn methods_come_in_the_order_of_preference_each_as_often_as_it_is_asked_for() {
        let plain = options(|_| {});
        assert_eq!(tried(&plain, true, ALL, 2, 0), "kkiiippp");
        assert_eq!(tried(&plain, true, b"password", 2, 0), "ppp");
        assert_eq!(tried(&plain, true, b"hostbased", 2, 0), "");
        assert_eq!(tried(&plain, false, ALL, 2, 0), "kk", "nobody to ask");
        let once = options(|config| config.number_of_password_prompts = 1);
        assert_eq!(tried(&once, true, ALL, 0, 0), "ip");
        let preferred = options(|config| {
            config.preferred_authentications = Some("password,gssapi-with-mic,publickey".to_owned());
        });
        assert_eq!(tried(&preferred, true, ALL, 2, 0), "pppkk");
        let no_keys = options(|config| config.pubkey_authentication = PubkeyAuthentication::No);
        assert_eq!(tried(&no_keys, true, ALL, 2, 0), "iiippp");
        let no_questions = options(|config| config.kbd_interactive_authentication = false);
        assert_eq!(tried(&no_questions, true, ALL, 2, 0), "kkppp");
    }

    #[test]
    fn twenty_keys_of_an_agent_leave_tries_for_the_password() {
        let plain = options(|_| {});
        let mut expected = "k".repeat(2 + STRAY_KEYS_MAX as usize);
        expected.push_str("iiippp");
        expected.push_str(&"k".repeat(18 - STRAY_KEYS_MAX as usize));
        assert_eq!(tried(&plain, true, ALL, 20, 18), expected);
        assert_eq!(tried(&plain, false, ALL, 20, 18), "k".repeat(20));
    }

    #[test]
    fn keyboard_interactive_that_asks_nothing_is_tried_once() {
        let mut methods = Methods::new(&options(|_| {}), true);
        let takes = NameList::from_bytes(ALL).unwrap();
        assert_eq!(methods.next(&takes, None), Some(Method::KeyboardInteractive));
        assert_eq!(methods.next(&takes, None), Some(Method::Password));
        methods.begin_again();
        assert_eq!(methods.next(&takes, None), Some(Method::KeyboardInteractive));
        methods.interview();
        assert_eq!(methods.next(&takes, None), Some(Method::KeyboardInteractive));
        methods.begin_again();
        assert_eq!(methods.next(&takes, None), Some(Method::KeyboardInteractive));
        assert_eq!(methods.next(&takes, None), Some(Method::Password));
    }

    #[test]
    fn after_a_step_all_may_be_tried_again_and_a_changed_host_is_told_no_password() {
        let mut methods = Methods::new(&options(|config| config.number_of_password_prompts = 1), true);
        let takes = NameList::from_bytes(b"password").unwrap();
        assert_eq!(methods.next(&takes, None), Some(Method::Password));
        assert_eq!(methods.next(&takes, None), None);
        methods.begin_again();
        assert_eq!(methods.next(&takes, None), Some(Method::Password));
        methods.begin_again();
        methods.without_passwords();
        assert_eq!(methods.next(&takes, None), None);
        assert_eq!(methods.next(&NameList::from_bytes(ALL).unwrap(), Some(false)), Some(Method::Publickey));
    }
}
