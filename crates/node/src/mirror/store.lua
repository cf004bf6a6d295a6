-- Stores the values that are newer than what is held, all at once; answers how many.
-- KEYS: hash. ARGV: expiry (ms since 1970), then field and value in turn.
-- A value begins with 24 bytes of rank; the greater rank is the newer one.
local function newer(value, held)
  if not held then return true end
  for place = 1, 24 do
    local a, b = value:byte(place), held:byte(place)
    if a ~= b then return a ~= nil and (b == nil or a > b) end
  end
  return false
end
local taken = 0
for at = 2, #ARGV, 2 do
  if newer(ARGV[at + 1], redis.call('HGET', KEYS[1], ARGV[at])) then
    redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1])
    taken = taken + 1
  end
end
redis.call('PEXPIREAT', KEYS[1], ARGV[1])
return taken
