//! Methods by their names, and the chains of them that a server asks for (RFC 4252 §5; sshd_config(5), AuthenticationMethods).
//!
//! It knows in which order methods must succeed. What a method does is not known here.

use core::fmt;

/// The most chains, and the most methods of one.
pub const CHAINS_MAX: usize = 16;

/// A method that a server may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `none`: the user's name is enough, if the application says so (RFC 4252 §5.2).
    None,
    /// `publickey`, and its form that binds the host key.
    Publickey,
    /// `password`.
    Password,
    /// `keyboard-interactive` (RFC 4256).
    KeyboardInteractive,
}

impl Method {
    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Publickey => "publickey",
            Self::Password => "password",
            Self::KeyboardInteractive => "keyboard-interactive",
        }
    }

    /// The method of exactly this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::None, Self::Publickey, Self::Password, Self::KeyboardInteractive]
            .into_iter()
            .find(|method| method.name() == name)
    }
}

/// What a user must go through: all methods of any one chain, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodChains(Vec<Vec<Method>>);

impl MethodChains {
    /// Any one of these methods is enough.
    #[must_use]
    pub fn any_of(methods: &[Method]) -> Self {
        Self(methods.iter().map(|method| vec![*method]).collect())
    }

    /// All of these, in this order.
    #[must_use]
    pub fn all_of(methods: &[Method]) -> Self {
        Self(vec![methods.to_vec()])
    }

    /// All of these, in the order that a client likes: of a few, for there are as many chains as orders.
    #[must_use]
    pub fn all_in_any_order(methods: &[Method]) -> Self {
        let mut chains = vec![Vec::new()];
        for (at, method) in methods.iter().enumerate() {
            let with = |chain: Vec<Method>| {
                (0..=at).map(move |place| {
                    let mut chain = chain.clone();
                    chain.insert(place, *method);
                    chain
                })
            };
            chains = chains.into_iter().flat_map(with).collect();
        }
        Self(chains)
    }

    /// Reads chains as AuthenticationMethods of sshd_config(5) has them: `publickey,password publickey,keyboard-interactive`.
    ///
    /// # Errors
    /// See [`BadChains`].
    pub fn parse(text: &str) -> Result<Self, BadChains> {
        let chain = |word: &str| word.split(',').map(Method::from_name).collect::<Option<Vec<_>>>();
        let chains: Option<Vec<_>> = text.split_ascii_whitespace().map(chain).collect();
        let chains = chains.ok_or(BadChains)?;
        let bounded = chains.len() <= CHAINS_MAX && chains.iter().all(|chain| chain.len() <= CHAINS_MAX);
        // What needs nothing else cannot be one of several steps.
        let lonely = |chain: &Vec<Method>| chain.len() == 1 || !chain.contains(&Method::None);
        if chains.is_empty() || !bounded || !chains.iter().all(lonely) {
            return Err(BadChains);
        }
        Ok(Self(chains))
    }

    /// The methods in all chains, some of them perhaps often.
    pub fn methods(&self) -> impl Iterator<Item = Method> + '_ {
        self.0.iter().flatten().copied()
    }

    /// Whether a method may come next.
    pub(super) fn allows(&self, method: Method) -> bool {
        self.0.iter().any(|chain| chain.first() == Some(&method))
    }

    /// A method succeeded. Whether a chain is through.
    pub(super) fn advance(&mut self, method: Method) -> bool {
        for chain in &mut self.0 {
            if chain.first() == Some(&method) {
                chain.remove(0);
            }
        }
        self.0.iter().any(Vec::is_empty)
    }

    /// The methods that may come next, each once; `none` is not told (RFC 4252 §5.2).
    pub(super) fn names(&self) -> String {
        let mut names: Vec<&str> = Vec::new();
        for method in self.0.iter().filter_map(|chain| chain.first()) {
            if *method != Method::None && !names.contains(&method.name()) {
                names.push(method.name());
            }
        }
        names.join(",")
    }
}

/// A list with a method that is not known, with `none` among others, with nothing in it, or with more than [`CHAINS_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadChains;

impl fmt::Display for BadChains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("methods are publickey, password and keyboard-interactive, with commas between those that must follow \
             each other and blanks between alternatives; or none alone")
    }
}

impl core::error::Error for BadChains {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_in_any_order_are_as_many_chains_as_orders() {
        use Method::{KeyboardInteractive, Password, Publickey};
        let of = |methods: &[Method]| {
            let mut chains = MethodChains::all_in_any_order(methods).0;
            chains.sort_by_key(|chain| chain.iter().map(|method| method.name()).collect::<Vec<_>>());
            chains
        };
        assert_eq!(of(&[Password]), [[Password]]);
        assert_eq!(of(&[Publickey, Password]), [[Password, Publickey], [Publickey, Password]]);
        assert_eq!(of(&[Publickey, Publickey])[0], [Publickey, Publickey]);
        let all = of(&[Publickey, Password, KeyboardInteractive]);
        assert!(all.len() == 6 && all.windows(2).all(|pair| pair[0] != pair[1]), "{all:?}");
    }

    #[test]
    fn chains_are_gone_through_in_their_order() {
        let mut chains = MethodChains::parse("publickey,password publickey,keyboard-interactive").unwrap();
        assert_eq!(chains.names(), "publickey");
        assert!(!chains.allows(Method::Password) && !chains.allows(Method::None));
        assert!(!chains.advance(Method::Publickey));
        assert_eq!(chains.names(), "password,keyboard-interactive");
        assert!(!chains.allows(Method::Publickey));
        assert!(chains.advance(Method::KeyboardInteractive));
        let mut two_keys = MethodChains::parse("publickey,publickey").unwrap();
        assert!(!two_keys.advance(Method::Publickey) && two_keys.advance(Method::Publickey));
        let mut any = MethodChains::any_of(&[Method::None, Method::Password]);
        assert_eq!(any.names(), "password");
        assert!(any.advance(Method::None));
    }

    #[test]
    fn lists_that_mean_nothing_are_refused() {
        let long = |n| vec!["password"; n];
        for (text, good) in [
            ("", false),
            ("publickey,", false),
            ("hostbased", false),
            ("none,password", false),
            ("password,none", false),
            ("none", true),
            (&long(CHAINS_MAX).join(" "), true),
            (&long(CHAINS_MAX + 1).join(" "), false),
            (&long(CHAINS_MAX).join(","), true),
            (&long(CHAINS_MAX + 1).join(","), false),
        ] {
            assert_eq!(MethodChains::parse(text).is_ok(), good, "{text}");
        }
    }
}
