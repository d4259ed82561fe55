update sessions set revoke_reason = 'withdrawn' where revoke_reason = 'revoked';
