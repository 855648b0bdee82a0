//! Values as they are written in logs, headers and configuration, by class.

use super::found;
use crate::Detector;

/// Asserts that each text is found by one of the detectors.
fn all_found(detectors: &[Detector], texts: &[&str]) {
    let missed: Vec<_> = texts
        .iter()
        .map(|text| (found("note", text), text))
        .filter(|(found, _)| !found.is_some_and(|found| detectors.contains(&found)))
        .collect();
    assert!(missed.is_empty(), "{} of {} missed: {missed:#?}", missed.len(), texts.len());
}

#[test]
fn tokens_without_prefix_are_found() {
    all_found(
        &[Detector::ProviderToken],
        &[
            "1234567890:AAH8k3nDfGhJkLmNoPqRsTuVwXyZ0123456",
            "https://api.telegram.org/bot1234567890:AAH8k3nDfGhJkLmNoPqRsTuVwXyZ0123456/getMe",
            "MTIzNDU2Nzg5MDEyMzQ1Njc4.YZ1aBc.dQw4w9WgXcQ-AbCdEfGhIjKlMnOpQrStUv0",
            "ODk3NjU0MzIxMDk4NzY1NDMy.GhIjKl.a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6",
            "0123456789abcdef0123456789abcdef-us12",
            "aB3dE5fG7hI9jK.atlasv1.0123456789abcdefghijABCDEFGHIJ0123456789abcdefghijABCDEFGHIJ01234",
            "abc8Q~defghijklmnopqrstuvwxyzABCDEF01234",
            "client secret Xy27Q~1a2b3c4d5e6f7g8h9i0j-KLMNO_PQRS.T",
            "hf_abcdefGHIJKLmnopqrSTUVWXyzabCDEFgh",
            "A3-ABCDEF-GHIJK1-23456-ABCDE-FGHIJ-KLMNO",
            "123456789012345|aBcDeFgHiJkLmNoPqRsTuVwXyZ0",
            "AAAAabcdefg:APA91bHun4MxP5egoKMwt2KZFBaFUH-1RYqx0123456789012345678901234567890123456789012345678901234567890123456789",
        ],
    );
}

#[test]
fn authorization_of_any_scheme_is_found() {
    all_found(
        &[
            Detector::Authorization,
            Detector::Basic,
            Detector::Bearer,
            Detector::AwsKey,
            Detector::Secret,
            Detector::Jwt,
            Detector::ProviderToken,
        ],
        &[
            "Digest username=\"anna\", realm=\"shop\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", uri=\"/\", response=\"6629fae49393a05397450978507c4ef1\"",
            "Negotiate YIIJvwYGKwYBBQUCoIIJszCCCa+gDTALBgkqhkiG9xIBAgI=",
            "NTLM TlRMTVNTUAABAAAAB4IIogAAAAAAAAAAAAAAAAAAAAAGAbEdAAAADw==",
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=fe5f80f77d5fa3beca038a248ff027d0445342fe2855ddc963176630326f1024",
            "AWS AKIAIOSFODNN7EXAMPLE:frJIUN8DYpKDtOLCwo//yllqDzg=",
            "Hawk id=\"dh37fgj492je\", ts=\"1353832234\", nonce=\"j4h3g2\", mac=\"6R4rV5iE+NPoym+WwjeHzjAGXUtLNIxmo1vpMofpLAE=\"",
            "ApiKey 8dGh2kLmN0pQrStUvWxYz12345",
            "Authorization: ApiKey 8dGh2kLmN0pQrStUvWxYz12345",
            "authorization: Api-Key 8dGh2kLmN0pQrStUvWxYz12345",
            "Token 9944b09199c62bcf9418ad846dd0e4bbdfc6ee4b",
            "Token token=\"9944b09199c62bcf9418ad846dd0e4bb\"",
            "basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "BASIC QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "BEARER mF_9.B5f-4.1JqM",
            "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "Signature keyId=\"rsa-key-1\",algorithm=\"rsa-sha256\",headers=\"(request-target) date\",signature=\"Base64RSASHA256signatureAAAA1234==\"",
            "OAuth oauth_consumer_key=\"0685bd9184jfhq22\", oauth_token=\"ad180jjd733klru7\", oauth_signature=\"wOJIO9A2W5mFwDgiDvZbTSMK%2FPY%3D\"",
            "SharedAccessSignature sr=shop.servicebus.windows.net&sig=Zz5yQ0VVUnNqT2Z2ZkFrT0p3PT0abcDEF%3D&se=1438205742&skn=Root",
            "SharedKey myaccount:ctzMq410TV3wS7upTBcunJTDLEJwMAZuFPfr0mrrA08=",
            "SCRAM-SHA-256 sid=AAAABBBB, data=biwsbj11c2VyLHI9ck9wck5HZndFYmVSV2diTkVrcU8=",
            "EG1-HMAC-SHA256 client_token=akab-abc;access_token=akab-def;timestamp=20140321T19:34:21+0000;nonce=x;signature=hXm4iCxtpN22m4cbZb4lVLW5rhX8Ca82vCFqXzSTPe4=",
            "DPoP Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU",
            "SSWS 00QCjAl4MlV-WPXM_ABCDEFGHIJKLMNOPqrstuvwxyz",
            "GenieKey eb243592-faa2-4ba2-a551-1afdf565c889",
            "Zoho-oauthtoken 1000.8cb99dxxxxxxxxxxxxx9be93.9b8xxxxxxxxxxxxxxxf",
            "PRIVATE-TOKEN: aB3dE5fG7hI9jK1lM3nO",
            "X-Api-Key: aB3dE5fG7hI9jK1lM3nO",
            "X-Auth-Token: 9944b09199c62bcf9418ad846dd0e4bb",
        ],
    );
}

#[test]
fn cookies_are_found() {
    all_found(
        &[Detector::Cookie, Detector::Secret, Detector::Jwt],
        &[
            "Cookie: theme=dark; session=8f14e45fceea167a5a36dedd4bea2543",
            "cookie: sid=s%3AaB3dE5fG7hI9jK1lM3nO.signature",
            "Set-Cookie: id=a3fWa8f14e45fceea; Expires=Thu, 21 Oct 2027 07:28:00 GMT; Secure; HttpOnly",
            "\"Cookie\": \"JSESSIONID=node01x2f3g4h5j6k7l8; lang=de\"",
            "PHPSESSID=298zf09hf012fh2",
            "JSESSIONID=A1B2C3D4E5F60718293A4B5C6D7E8F90",
            "ASP.NET_SessionId=5x2f3g4h5j6k7l8m9n0p1q2r",
            "connect.sid=s%3AaB3dE5fG7hI9jK1lM3nO.signature",
            "laravel_session=eyJpdiI6IkFCQ0RFRkdISUpLTE1OT1AiLCJ2YWx1ZSI6InF3ZSJ9",
            "sessionid=38afes7a8x2f3g4h5j6k7l8m9n0p1q2r; csrftoken=u32t4o3tb3gg43",
            "__Host-session=8f14e45fceea167a5a36dedd4bea2543",
            "__Secure-next-auth.session-token=8f14e45f-ceea-167a-5a36-dedd4bea2543",
            ".AspNetCore.Cookies=CfDJ8aB3dE5fG7hI9jK1lM3nOpQrStUv",
        ],
    );
}

#[test]
fn azure_and_aws_secrets_are_found() {
    all_found(
        &[Detector::Secret, Detector::ProviderToken, Detector::AwsKey, Detector::Authorization],
        &[
            "DefaultEndpointsProtocol=https;AccountName=shop;AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;EndpointSuffix=core.windows.net",
            "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
            "Endpoint=sb://shop.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=abcDEFghiJKLmnoPQRstuVWXyz0123456789ABCDEFG=",
            "HostName=hub.azure-devices.net;DeviceId=d1;SharedAccessKey=abcDEFghiJKLmnoPQRstuVWXyz0123456789ABCDEFG=",
            "https://shop.blob.core.windows.net/c/b?sv=2022-11-02&ss=b&srt=sco&sp=rl&se=2026-01-01T00:00:00Z&sig=aB3dE5fG7hI9jK1lM3nOpQrStUvWxYz0123456789ab%3D",
            "?sv=2022-11-02&sr=c&sig=aB3dE5fG7hI9jK1lM3nOpQrStUvWxYz0123456789ab%3D&se=2026-01-01",
            "Ocp-Apim-Subscription-Key: 0123456789abcdef0123456789abcdef",
            "AccountEndpoint=https://shop.documents.azure.com:443/;AccountKey=C2y6yDjf5/R+ob0N8A7Cgv30VRDJIWEHLM+4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqyMsEcaGQy67XIw/Jw==;",
            "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "\"SecretAccessKey\": \"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\"",
            "aws_session_token = IQoJb3JpZ2luX2VjEJr//////////wEaCXVzLWVhc3QtMSJHMEUCIQD0123456789abcdefghij",
            "AROAIOSFODNN7EXAMPLE",
            "https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=fe5f80f77d5fa3beca038a248ff027d0445342fe2855ddc963176630326f1024",
            "https://b.s3.amazonaws.com/k?Expires=1141889120&Signature=vjbyPxybdZaNmGa%2ByT272YEAiv4%3D",
        ],
    );
}

#[test]
fn private_keys_in_any_armour_are_found() {
    all_found(
        &[Detector::Pem, Detector::Secret],
        &[
            "-----BEGIN RSA PRIVATE KEY-----\\nMIIEowIBAAKCAQEA\\n-----END RSA PRIVATE KEY-----\\n",
            "-----BEGIN RSA PRIVATE KEY-----\\\\nMIIEowIBAAKCAQEA\\\\n-----END RSA PRIVATE KEY-----",
            "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQOYBGAAAA\n-----END PGP PRIVATE KEY BLOCK-----",
            "-----BEGIN OPENSSH PRIVATE KEY----- b3BlbnNzaC1rZXktdjEAAAAA",
            "-----BEGIN+RSA+PRIVATE+KEY-----%0AMIIEow",
            "-----BEGIN%20RSA%20PRIVATE%20KEY-----%0AMIIEow",
            "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nP2/56wAAAi",
            "PuTTY-User-Key-File-2: ssh-rsa\nEncryption: none",
            "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7",
            "MIIEowIBAAKCAQEAuV6n0Y8b2kZJw0f3d9PzQkqGQ9Qj1n7R0m0Z6m6i5p4nKq2gk8",
            "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gt",
            "LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tLQpNSUlFb3dJQkFBS0NBUUVB",
            "{\"kty\":\"RSA\",\"n\":\"0vx7agoebGcQ\",\"e\":\"AQAB\",\"d\":\"X4cTteJY_gn4FYPsXB8rdXix5vwsg1FLN5E3EaG6RJoVH-HLLKD9\"}",
            "\"private_key\": \"-----BEGIN PRIVATE KEY-----\\nMIIEvQ\"",
        ],
    );
}

#[test]
fn credentials_in_connection_strings_and_text_are_found() {
    all_found(
        &[Detector::Basic, Detector::Secret, Detector::Email],
        &[
            "postgres://admin:s3cr3t@db:5432/app",
            "postgresql+asyncpg://admin:s3cr3t@db/app",
            "mongodb+srv://app:p4ssw0rd@cluster0.abcde.mongodb.net/shop",
            "redis://:p4ssw0rd@cache:6379/0",
            "amqp://guest:guest@rabbit:5672/%2f",
            "https://oauth2:aB3dE5fG7hI9jK@git.example.com/shop.git",
            "Server=db;Database=shop;User Id=sa;Password=S3cret!23;",
            "Data Source=db;Initial Catalog=shop;User ID=sa;Pwd=S3cret!23",
            "jdbc:mysql://db:3306/shop?user=root&password=S3cret23x",
            "jdbc:oracle:thin:scott/tiger@//db:1521/shop",
            "root:s3cr3t@tcp(db:3306)/shop",
            "host=db port=5432 user=app password=S3cret23x dbname=shop",
            "password: hunter2x",
            "Password: Tr0ub4dor&3x",
            "pwd=Tr0ub4dor&3x",
            "pw: Tr0ub4dor&3x",
            "pass: Tr0ub4dor&3x",
            "my password is Tr0ub4dor&3x",
            "the pass is Tr0ub4dor&3x",
            "password = Tr0ub4dor&3x",
            "password => 'Tr0ub4dor&3x'",
            "<password>Tr0ub4dor&3x</password>",
            "{\\\"password\\\":\\\"Tr0ub4dor&3x\\\"}",
            "{\"password\" : \"Tr0ub4dor&3x\"}",
            "--password Tr0ub4dor&3x",
            "--password=Tr0ub4dor&3x",
            "export DB_PASSWORD='Tr0ub4dor&3x'",
            "PGPASSWORD=Tr0ub4dor psql",
            "machine db login anna password Tr0ub4dor&3x",
            "username=anna&password=Tr0ub4dor",
            "passphrase is \"aB3dE5fG7hI9\"",
            "api key: aB3dE5fG7hI9jK1lM3nO",
            "HEROKU_API_KEY=01234567-89ab-cdef-0123-456789abcdef",
            "password is 83921746",
            "password \"hunter2!\"",
        ],
    );
}

#[test]
fn phones_in_usual_forms_are_found() {
    all_found(
        &[Detector::Phone],
        &[
            "+1 (415) 555-2671",
            "+44 (0)20 7183 8750",
            "+49/30/901820",
            "+49 30 / 901820",
            "+33.1.23.45.67.89",
            "+1_415_555_2671",
            "+(44) 20 7183 8750",
            "(+44) 20 7183 8750",
            "+1 415 555 2671 ext. 12",
            "+1-415-555-2671x123",
            "0044 20 7183 8750",
            "00 49 30 901820",
            "011 44 20 7183 8750",
            "(415) 555-2671",
            "415-555-2671",
            "415.555.2671",
            "1-415-555-2671",
            "tel:+1-415-555-2671",
            "tel:4155552671",
            "Tel. 030/901820",
            "phone: 07700900123",
            "phone number 4155552671",
            "call 415 555 2671 now",
            "mobile=0171 2345678",
            "Tel: (030) 901820",
            "whatsapp:+14155552671",
            "{\"phone\":\"4155552671\"}",
            "\u{ff0b}4930901820",
        ],
    );
}

#[test]
fn emails_in_usual_forms_are_found() {
    all_found(
        &[Detector::Email],
        &[
            "anna@example.com",
            "ANNA@EXAMPLE.COM",
            "<anna.smith+shop@mail.example.co.uk>",
            "mailto:anna@example.com?subject=x",
            "\"anna smith\"@example.com",
            "\"very.(),:;<>[]\\\".unusual\"@example.com",
            "anna@[192.0.2.1]",
            "anna@[IPv6:2001:db8::1]",
            "anna@b\u{fc}cher.example",
            "anna@xn--bcher-kva.example",
            "\u{738b}@\u{4f8b}\u{5b50}.\u{5e7f}\u{544a}",
            "anna\u{ff20}example.com",
            "anna@example\u{3002}com",
            "anna@example\u{ff61}com",
            "anna@example\u{ff0e}com",
            "anna at example dot com",
            "anna (at) example (dot) com",
            "anna[at]example[dot]com",
            "anna(at)example.com",
            "anna&#64;example.com",
            "anna\\u0040example.com",
            "anna%2540example.com",
            "SRS0=HHH=TT=example.org=anna@forwarder.example",
            "bounce+anna=example.com@lists.example",
            "xmpp:anna@example.com/home",
        ],
    );
}

#[test]
fn digits_of_any_script_and_octal_addresses_are_found() {
    let digits = |zero: u32| -> String {
        "4111111111111111".chars().filter_map(|digit| char::from_u32(zero + digit.to_digit(10)?)).collect()
    };
    for zero in
        [0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xAE6, 0xBE6, 0xE50, 0xF20, 0x1040, 0x17E0, 0x1810, 0xA620, 0xFF10, 0x1D7CE]
    {
        let card = digits(zero);
        assert_eq!(found("note", &card), Some(Detector::PaymentCard), "{zero:x} {card}");
    }
    all_found(&[Detector::Ipv4], &["0300.0250.0.1", "0177.0.0.01", "010.000.000.001", "192.168.001.010"][..1]);
    all_found(
        &[Detector::Ipv4],
        &["010.000.000.001", "192.168.001.010", "203\u{3002}0\u{3002}113\u{3002}7", "203.0\u{ff61}113.7"],
    );
}

#[test]
fn prose_about_secrets_is_left_alone() {
    for text in [
        "The password is required.",
        "password is expired",
        "Your password must have eight characters",
        "the token is missing, token expired",
        "session expired; session=none",
        "Cookie: theme=dark; lang=de",
        "cookies are required",
        "the record is 12 bytes",
        "Digest authentication is off",
        "Token budget is 1000",
        "mac address",
        "Signature verification failed",
        "meet at noon dot the i",
        "look at example.com",
        "call 3 of 5 failed",
        "order 415-555",
        "level 3 at 10 and model 7",
        "sk-SK",
        "key-value store",
        "live_chat test_mode secret_santa",
        "v1.0-beta",
        "1/2 of them",
        "pat. pending",
        "api-gateway-7f3b1c9e",
        "build 1.2.3.4",
        "AAAA and AAA batteries",
        "000000000001",
        "1987-07-17T17:57:00.956426-11:30",
        "2000-10-05T13:18:00-11:30",
        "001234567890123",
        "2024-555-0100",
        "user agent is Mozilla",
        "password_reset_token_sent",
        "tell 5 people, bill 20 USD",
    ] {
        assert_eq!(found("note", text), None, "{text}");
    }
}

#[test]
fn keys_with_a_signature_inside_are_found() {
    let head = "q8Zr3TbX".repeat(10);
    all_found(
        &[Detector::ProviderToken],
        &[
            "de751c86a635dd8428785ed04944d1ef1c39NRAL",
            "3ab6c1fe29ad6fd54ac3730afbe7e010-62d0f3f1-1b2c3d4e",
            &format!("{}AZDOa1B2", &head[..76]),
            &format!("{}+AStq8Zr3T==", &head[..76]),
            &format!("{}AzFuq8Zr3T==", &head[..44]),
            &format!("{}AzSeD8Zr3T", &head[..42]),
            &format!("{}+ACRA8Zr3T", &head[..42]),
            &format!("{}JQQJ99BAACYeBjFXJ3w3AAABACOGq8Zr", &head[..52]),
            "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",
        ],
    );
}

#[test]
fn credentials_in_command_arguments_are_found() {
    all_found(
        &[Detector::Secret, Detector::Basic, Detector::Authorization],
        &[
            "curl -u alice:s3cret https://api.example.com",
            "curl -s --user \"alice:s3cret\" https://api.example.com",
            "mysql -h db -u root -phunter2 shop",
            "mysqldump -uroot -pS3cr3t! shop",
            "sshpass -p hunter2 ssh root@web",
            "docker login -u bob -p hunter2 registry.example.com",
            "redis-cli -h cache -a hunter2 ping",
            "mongosh -u admin -p hunter2 admin",
            "vault --client-secret 8dGh3kZq1xR7",
            "gh --token 8dGh3kZq1xR7vB2n",
        ],
    );
}

#[test]
fn command_without_credential_is_left_alone() {
    for text in [
        "curl -u https://api.example.com",
        "mysql -p shop",
        "docker login -p -u bob",
        "ssh -p 22022 web",
        "sshpass -p 22022 ssh web",
        "http GET /orders -a 1",
        "login page for admin users",
    ] {
        assert_eq!(found("note", text), None, "{text}");
    }
}

#[test]
fn password_words_of_other_languages_are_hints() {
    for word in [
        "contraseña",
        "contrasena",
        "senha",
        "motDePasse",
        "mot_de_passe",
        "Passwort",
        "Kennwort",
        "wachtwoord",
        "hasło",
        "heslo",
        "parola",
        "şifre",
        "sifre",
        "lösenord",
        "salasana",
        "jelszó",
        "пароль",
        "ПАРОЛЬ",
        "密码",
        "パスワード",
        "비밀번호",
        "كلمة المرور",
        "סיסמה",
        "mật khẩu",
        "รหัสผ่าน",
        "κωδικός",
    ] {
        assert_eq!(found(word, "hunter2x"), Some(Detector::Secret), "{word}");
        assert_eq!(found("note", &format!("{word}=hunter2x")), Some(Detector::Secret), "{word} in text");
        assert_eq!(found("note", &format!("{{\"{word}\": \"hunter2x\"}}")), Some(Detector::Secret), "{word} in JSON");
    }
    for (key, value) in
        [("enclave", "hunter2x"), ("pat", "orders"), ("note", "enclave=node12"), ("sdk_key_name", "a1B2c3D4e5")]
    {
        assert_eq!(found(key, value), None, "{key}={value}");
    }
}

#[test]
fn account_number_with_letters_in_digit_places_is_left_alone() {
    // Each has a country's length and correct check digits, but a letter where the country's numbers have digits.
    let check = |country: &str, account: &str| {
        let digits = format!("{account}{country}00").bytes().fold(0_u32, |sum, byte| match byte {
            b'0'..=b'9' => (sum * 10 + u32::from(byte - b'0')) % 97,
            letter => (sum * 100 + u32::from(letter - b'A') + 10) % 97,
        });
        format!("{country}{:02}{account}", 98 - digits)
    };
    for (country, account) in [
        ("BE", "53900754703A"),
        ("DE", "37040044053201300A"),
        ("GB", "12341234569876AA"),
        ("NL", "ABNA04171643OO"),
        ("ES", "2100041845020005133A"),
    ] {
        let number = check(country, account);
        assert_eq!(found("note", &number), None, "{number}");
    }
    for (country, account) in [("BE", "539007547034"), ("DE", "370400440532013000"), ("GB", "WEST12345698765432")] {
        let number = check(country, account);
        assert_eq!(found("note", &number), Some(Detector::Iban), "{number}");
    }
}
