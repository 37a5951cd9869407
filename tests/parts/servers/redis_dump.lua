-- Every key with its kind and value, a line each, in an order that does not depend on how Redis keeps them.
local read = {
    string = {'GET'}, list = {'LRANGE', 0, -1}, set = {'SMEMBERS'}, hash = {'HGETALL'},
    zset = {'ZRANGE', 0, -1, 'WITHSCORES'},
}
local keys, lines = redis.call('KEYS', '*'), {}
table.sort(keys)
for _, key in ipairs(keys) do
    local kind = redis.call('TYPE', key).ok
    local value = redis.call(read[kind][1], key, unpack(read[kind], 2))
    if kind == 'set' then table.sort(value) end
    lines[#lines + 1] = kind .. ' ' .. cjson.encode({key, value})
end
return table.concat(lines, '\n')
