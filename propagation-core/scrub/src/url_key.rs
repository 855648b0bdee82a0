//! Keys of URL queries and path parameters whose values are secrets.

/// Returns whether the value of a query or path parameter is a secret: a signature, a token, a one-time code, a session.
///
/// A query is often shown in logs and spans, and its keys are better hints than those of other data: `code`, `state` and `ticket` are
/// credentials here. Case, `-`, `_`, `.` and brackets do not count: `X-Amz-Signature`, `x_amz_signature` and `user[password]` are alike.
///
/// ```
/// use propagation_scrub::is_secret_query_key;
///
/// assert!(is_secret_query_key("SAMLResponse") && is_secret_query_key("reset_token"));
/// assert!(!is_secret_query_key("page") && !is_secret_query_key("country_code"));
/// ```
#[must_use]
pub fn is_secret_query_key(key: &str) -> bool {
    const LONGEST: usize = 64;
    let mut folded = [0; LONGEST];
    let mut length = 0;
    for byte in key.bytes().filter(u8::is_ascii_alphanumeric) {
        let Some(slot) = folded.get_mut(length) else { return false };
        *slot = byte.to_ascii_lowercase();
        length += 1;
    }
    let folded = folded.get(..length).unwrap_or(&[]);
    let last =
        key.rsplit(['.', '[', '_', '-', ':', '$']).map(|word| word.trim_end_matches(']')).find(|word| !word.is_empty());
    let is_last = |known: &&[u8]| last.is_some_and(|word| word.as_bytes().eq_ignore_ascii_case(known));
    if SHOWN.binary_search(&folded).is_ok() {
        return false;
    }
    WHOLE.binary_search(&folded).is_ok()
        || ENDINGS.iter().any(|ending| folded.ends_with(ending))
        || LAST.iter().any(is_last)
        || super::key_hint(key.as_bytes()) && !super::key::is_number(key.as_bytes())
}

/// Whole keys in lower case without punctuation, sorted.
#[rustfmt::skip]
const WHOLE: &[&[u8]] = &[
    b"2fa", b"2facode", b"accesscode", b"accesskey", b"accesskeyid", b"accesstoken", b"actcode", b"activate", b"activation",
    b"activationcode", b"activationkey", b"activationlink", b"ak", b"apikey", b"appkey", b"assertion", b"auth", b"authcode", b"authkey",
    b"authorization", b"authorizationcode", b"authticket", b"authtoken", b"authuser", b"awsaccesskeyid", b"backupcode", b"bearer",
    b"captcha", b"cfclearance", b"cfid", b"cftoken", b"cfturnstileresponse", b"cipher", b"cipherid", b"clientassertion", b"clientsecret",
    b"code", b"codechallenge", b"codeverifier", b"confirm", b"confirmation", b"confirmationcode", b"confirmationtoken", b"confirmkey",
    b"cookie", b"couponcode", b"credential", b"credentials", b"crumb", b"csrf", b"csrfmiddlewaretoken", b"csrftoken", b"cvc", b"cvv",
    b"dek", b"devicecode", b"dpop", b"emailcode", b"emailtoken", b"enc", b"gda", b"giftcard", b"googleaccessid", b"grecaptcharesponse",
    b"hash", b"hcaptcharesponse", b"hdnea", b"hdnkey", b"hdntl", b"hdnts", b"hmac", b"hubchallenge", b"idtoken", b"idtokenhint",
    b"impersonate", b"invitation", b"invitationcode", b"invitationtoken", b"invite", b"invitecode", b"jsessionid", b"jwt", b"kek", b"key",
    b"keypairid", b"license", b"licensekey", b"logincode", b"loginhint", b"loginlink", b"logintoken", b"logouttoken", b"lt", b"mac",
    b"magic", b"magiclink", b"mfa", b"mfacode", b"motdepasse", b"nip", b"nonce", b"oauthsignature", b"oauthtoken", b"oauthverifier",
    b"onetimecode", b"oobcode", b"oobtoken", b"openidsig", b"optout", b"ossaccesskeyid", b"otc", b"otp", b"otpauth", b"otpcode",
    b"passcode", b"passkey", b"passphrase", b"passwd", b"password", b"pgt", b"pgtid", b"pgtiou", b"phonecode", b"phpsessid", b"pin",
    b"pincode", b"policy", b"presharedkey", b"privatekey", b"promocode", b"proof", b"psk", b"pskey", b"pt", b"pw", b"pwd", b"pwhash",
    b"qak", b"recovery", b"recoverycode", b"recoverytoken", b"refreshtoken", b"registrationcode", b"registrationtoken", b"relaystate",
    b"request", b"requesttoken", b"reset", b"resetcode", b"resetkey", b"resetpassword", b"resettoken", b"rt", b"samlart",
    b"samlassertion", b"samlrequest", b"samlresponse", b"sas", b"secret", b"secretkey", b"securitytoken", b"seed", b"serviceticket",
    b"session", b"sessionid", b"sessionkey", b"sessionstate", b"sessionticket", b"sessiontoken", b"setuptoken", b"shareid", b"sharekey",
    b"sharelink", b"sharetoken", b"sid", b"sig", b"sigalg", b"sign", b"signature", b"signed", b"signedrequest", b"signincode",
    b"signingkey", b"signuptoken", b"sk", b"skey", b"skoid", b"skt", b"sktid", b"smscode", b"sso", b"ssotoken", b"st", b"state",
    b"subscriptionkey", b"swtoken", b"tempkey", b"tempurlexpires", b"tempurlsig", b"tfacode", b"tgt", b"ticket", b"ticketid", b"tk",
    b"tkn", b"tok", b"token", b"tokens", b"totp", b"twofa", b"twofactorcode", b"unlock", b"unlockcode", b"unlocktoken", b"unsubscribe",
    b"unsubscribetoken", b"urlsig", b"usercode", b"userhash", b"ust", b"validation", b"validationtoken", b"vcode", b"verification",
    b"verificationcode", b"verificationtoken", b"verifier", b"verify", b"verifycode", b"verifytoken", b"voucher", b"wctx",
    b"webhooksecret", b"wresult", b"wt", b"xamzcredential", b"xamzsecuritytoken", b"xamzsignature", b"xapikey", b"xgoogcredential",
    b"xgoogsignature", b"xsrf", b"xsrftoken",
];

/// Whole keys of pages, tables and limits that end like a secret, sorted.
#[rustfmt::skip]
const SHOWN: &[&[u8]] = &[
    b"cachekey", b"continuationtoken", b"cursortoken", b"foreignkey", b"groupkey", b"hashkey", b"indexkey", b"maxtokens", b"mintokens",
    b"nextpagetoken", b"nexttoken", b"objectkey", b"orderkey", b"pagetoken", b"partitionkey", b"prevpagetoken", b"primarykey",
    b"rangekey", b"routingkey", b"rowkey", b"sortkey", b"synctoken",
];

/// Ends of keys, without punctuation.
const ENDINGS: &[&[u8]] = &[
    b"token",
    b"secret",
    b"password",
    b"passwd",
    b"passphrase",
    b"passcode",
    b"apikey",
    b"accesskey",
    b"secretkey",
    b"privatekey",
    b"subscriptionkey",
    b"signingkey",
    b"licensekey",
    b"sessionid",
    b"sessid",
    b"sessionkey",
    b"signature",
    b"credential",
    b"credentials",
    b"jwt",
    b"assertion",
    b"ticket",
    b"hmac",
    b"otp",
    b"csrf",
    b"xsrf",
    b"nonce",
    b"samlresponse",
    b"samlrequest",
    b"authcode",
    b"resetcode",
    b"invitecode",
    b"verificationcode",
    b"activationcode",
    b"recoverycode",
    b"accesscode",
    b"devicecode",
    b"usercode",
    b"onetimecode",
    b"smscode",
    b"mfacode",
    b"keypairid",
    b"verifier",
    b"pwd",
    b"webhookkey",
    b"authkey",
    b"cookie",
];

/// Last words of keys: too short to be the end of any word.
const LAST: &[&[u8]] =
    &[b"sig", b"sid", b"pin", b"pw", b"mac", b"key", b"auth", b"sso", b"hash", b"session", b"pass", b"otp", b"tok"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_keys_are_sorted() {
        assert!(WHOLE.is_sorted() && SHOWN.is_sorted());
    }

    #[test]
    fn query_keys_of_secrets_are_recognised() {
        for key in [
            "ticket",
            "SAMLResponse",
            "oobCode",
            "otp",
            "sid",
            "session",
            "PHPSESSID",
            "csrf",
            "device_code",
            "code_verifier",
            "invite",
            "reset",
            "magic",
            "subscription-key",
            "Key-Pair-Id",
            "jsessionid",
            "code",
            "state",
            "nonce",
            "id_token",
            "id_token_hint",
            "client_assertion",
            "SAMLRequest",
            "RelayState",
            "SigAlg",
            "Signature",
            "X-Amz-Signature",
            "X-Amz-Credential",
            "X-Amz-Security-Token",
            "AWSAccessKeyId",
            "sig",
            "hmac",
            "X-Goog-Signature",
            "X-Goog-Credential",
            "access_token",
            "refresh_token",
            "reset_token",
            "confirmation_token",
            "invitation_token",
            "unlock_token",
            "pin",
            "passcode",
            "apikey",
            "api_key",
            "api-key",
            "x-api-key",
            "auth",
            "sso",
            "jwt",
            "access_key",
            "private_key",
            "secret",
            "client_secret",
            "webhook_secret",
            "activation",
            "confirm",
            "verification",
            "recovery",
            "hash",
            "key",
            "license",
            "user[password]",
            "password",
            "pwd",
            "pw",
            "auth_token",
            "oauth_token",
            "oauth_verifier",
            "session_id",
            "sessionToken",
            "csrf_token",
            "_csrf",
            "authenticity_token",
            "xsrf",
            "magic_link",
            "login_token",
            "email_token",
            "verify",
            "validation",
            "ssn_token",
            "share_key",
            "st",
            "tgt",
            "user_code",
            "totp",
            "mfa_code",
            "2fa_code",
            "sms_code",
            "credential",
            "sign",
            "signed",
            "swt_token",
            "download_token",
            "hub.verify_token",
            "unsubscribe",
            "voucher",
            "pgtIou",
            "hdnts",
            "g-recaptcha-response",
            "signed_request",
            "backup_code",
            "mot_de_passe",
            "2fa",
        ] {
            assert!(is_secret_query_key(key), "{key}");
        }
    }

    #[test]
    fn other_query_keys_are_shown() {
        for key in [
            "page",
            "q",
            "sort",
            "limit",
            "offset",
            "country_code",
            "zip_code",
            "lang",
            "utm_source",
            "id",
            "user_id",
            "token_type",
            "grant_type",
            "response_type",
            "client_id",
            "redirect_uri",
            "scope",
            "from",
            "to",
            "status",
            "keyword",
            "design",
            "monkey",
            "b",
            "X-Amz-Date",
            "X-Amz-Expires",
            "tel",
            "phone",
            "category",
            "statement",
            "stage",
            "sort_key",
            "pageToken",
            "continuation-token",
            "max_tokens",
            "tenant",
            "year",
        ] {
            assert!(!is_secret_query_key(key), "{key}");
        }
    }
}
