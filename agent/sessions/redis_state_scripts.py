"""The Lua scripts of `agent.sessions.redis_states`: each is one atomic step on an entry."""

from __future__ import annotations

from typing import Final

MARKED: Final = 1
"""What "read" returns after it has left the reader's mark."""

KEEP, REMOVE = "0", "1"
"""What "put" does with the entry of another owner."""

# The value, or 1 if the reader has left its mark, or 0 if there is a mark of somebody else.
_READ: Final = """
local value = redis.call('HGET', KEYS[1], 'value')
if value then return value end
if redis.call('HSETNX', KEYS[1], 'owner', ARGV[1]) == 0 then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""

_MARK: Final = """
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'owner', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""

# Arguments: the owner, whether to remove the entry of another owner, the new owner, the value, its expiry in ms.
_PUT: Final = """
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then
  if ARGV[2] == '1' then redis.call('DEL', KEYS[1]) end
  return 0
end
redis.call('DEL', KEYS[1])
if ARGV[4] ~= '' then
  redis.call('HSET', KEYS[1], 'owner', ARGV[3], 'value', ARGV[4])
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
end
return 1
"""

_RENEW: Final = """
for at, key in ipairs(KEYS) do
  if redis.call('HGET', key, 'owner') == ARGV[at + 1] then redis.call('PEXPIRE', key, ARGV[1]) end
end
return 1
"""

SCRIPTS: Final = {"read": _READ, "mark": _MARK, "put": _PUT, "renew": _RENEW}
