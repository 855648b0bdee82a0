//! Words for a password in languages other than English.

use crate::class::before;

/// Words for a password in languages other than English, in small letters.
#[rustfmt::skip]
pub(crate) const PASSWORDS: &[&str] = &[
    "passe", "sandi", "clave", "clave_secreta", "sifre", "losenord", "lozinka", "adgangskode", "jelszo", "passord", "kodeord", "parool", "parole",
    "geslo", "slaptazodis", "senha", "haslo", "heslo", "parola", "salasana", "contrasena", "wachtwoord", "kennwort", "contraseña",
    "hasło", "HASŁO", "lösenord", "şifre", "jelszó", "slaptažodis", "пароль", "ПАРОЛЬ", "Пароль", "密码", "密碼", "口令", "パスワード", "비밀번호", "암호",
    "كلمة المرور", "كلمة_المرور", "סיסמה", "mật khẩu", "mật_khẩu", "κωδικός", "รหัสผ่าน", "पासवर्ड", "رمز عبور",
];

/// Returns the length of the word of [`PASSWORDS`] that `text` ends with, if no letter precedes it.
pub(crate) fn foreign_password(text: &[u8]) -> Option<usize> {
    let last = text.last()?.to_ascii_lowercase();
    if !PASSWORD_ENDS.get(usize::from(last)).copied().unwrap_or(false) {
        return None;
    }
    let word = PASSWORDS.iter().find(|word| {
        super::ends_with(text, word.as_bytes()) && {
            let start = text.len() - word.len();
            let is_hump = text.get(start).is_some_and(u8::is_ascii_uppercase);
            !before(text, start).is_ascii_alphabetic() || is_hump
        }
    })?;
    Some(word.len())
}

/// The last bytes of [`PASSWORDS`].
const PASSWORD_ENDS: [bool; 256] = {
    let mut ends = [false; 256];
    let mut index = 0;
    #[expect(clippy::indexing_slicing, reason = "bounded by the loop, and evaluated when compiled")]
    while index < PASSWORDS.len() {
        let word = PASSWORDS[index].as_bytes();
        ends[word[word.len() - 1] as usize] = true;
        index += 1;
    }
    ends
};
