-- Every field of a hash with the rank its value begins with.
local ranks = {}
local all = redis.call('HGETALL', KEYS[1])
for at = 1, #all, 2 do
  ranks[at], ranks[at + 1] = all[at], all[at + 1]:sub(1, 24)
end
return ranks
